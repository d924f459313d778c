"""Starts a function as Lambda's managed Python runtime does; runs in the function's own process.

Arguments: the folder with the managed runtime's packages (boto3 and the runtime client), the names of the environment
variables to keep, comma-separated, then the folders of the layers. Neither the project nor its virtual environment is
importable here: what the layer lacks is missing, as it would be on AWS.
"""

import os
import sys


def main() -> None:
    """Arrange the import path and the environment, then hand over to Lambda's runtime client."""
    runtime, kept, *layers = sys.argv[1:]
    for name in os.environ.keys() - set(kept.split(",")):
        del os.environ[name]
    standard_library = [path for path in sys.path if path != os.path.dirname(os.path.abspath(__file__))]
    layer_paths = [os.path.join(layer, "python") for layer in layers]
    sys.path[:] = [os.environ["LAMBDA_TASK_ROOT"], *layer_paths, *standard_library, runtime]
    from awslambdaric.__main__ import main as run

    run(["awslambdaric", os.environ["_HANDLER"]])


if __name__ == "__main__":
    main()

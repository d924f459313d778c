"""The private names of MiniStack and moto that the sandbox depends on, checked at start-up.

pyproject.toml pins both; look here when a pin changes.
"""

from importlib import import_module

HOOKS = {
    "ministack.app": "app SERVICE_HANDLERS",
    "ministack.core.iam_actions": ("access_denied_response extract_iam_action identity_denial_message"),
    "ministack.core.iam_evaluator": (
        "_gather_role_policies evaluate enforce parse_policy_document AuthError EvalContext EvalResult"
    ),
    "ministack.core.lambda_runtime": (
        "ProvidedWorker _worker_class_for _workers execution_credentials invalidate_worker reset subprocess"
    ),
    "ministack.core.responses": "get_account_id get_region new_uuid",
    "ministack.core.router": "_KNOWN_AWS_SERVICE_NAMES extract_access_key_id",
    "ministack.services.cloudformation.provisioners": "_RESOURCE_HANDLERS _physical_name _sfn_definition",
    "ministack.services.iam": "_error _instance_profiles _roles _xml",
    "ministack.services.kms": "_keys",
    "ministack.services.lambda_svc": (
        "_docker_extracted_dir _execute_function_provided_warm _execute_function_warm _resolve_layer_zip "
        "executions_in_flight"
    ),
    "ministack.services.stepfunctions": (
        "_SFN_WAIT_SCALE _ExecutionError _apply_input_path _apply_output_path _apply_result_path "
        "_apply_result_selector _error_matches _execute_choice _execute_map _execute_parallel _execute_pass "
        "_execute_task _execute_wait _executions _fail_execution _fail_state_error "
        "_invoke_nested_start_execution_sync _map_runs _nested_start_execution_request _next_or_end "
        "_read_map_items _resolve_params_obj _resolve_path_or_ctx _run_distributed_map _run_execution "
        "_run_sub_machine _start_execution _stop_execution"
    ),
    "moto.ec2.models.amis": "Ami AmiBackend",
    "moto.ec2.models.elastic_block_store": "EBSBackend Snapshot Volume VolumeAttachment",
    "moto.ec2.models.instances": "Instance InstanceState",
    "moto.ec2.responses": "EC2Response",
    "moto.ec2.responses.amis": "AmisResponse",
    "moto.ec2.responses.elastic_block_store": "ElasticBlockStore",
    "moto.ec2.responses.instances": "InstanceResponse",
    "moto.iam.responses": "IamResponse",
}


class MissingHookError(RuntimeError):
    """MiniStack or moto no longer has a private name that the sandbox needs."""


def check_hooks(hooks: dict[str, str] = HOOKS) -> None:
    """Check that every hooked name exists.

    Raises:
        MissingHookError: names all that are missing.
    """
    missing = [
        f"{m}.{name}" for m, names in hooks.items() for name in names.split() if not hasattr(import_module(m), name)
    ]
    if missing:
        raise MissingHookError(f"not found: {', '.join(missing)}. Install the versions that pyproject.toml pins.")

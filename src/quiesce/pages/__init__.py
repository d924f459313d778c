"""The pages for people, as self-contained HTML: a run's, and the overview of all servers. Pure.

``run_page.RunFound`` and ``found.Found`` say what to pass, ``render`` makes the HTML. Jinja2 is not in the layer that
all functions share: only the page function, the command line and the tests have it.
"""

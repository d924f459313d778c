def test_a_running_server_is_backed_up_crash_consistently(machine, cloud, server, request_for):
    run = machine.start(request_for, "first-run")
    assert run.status == "SUCCEEDED"

"""The pytest plugin: `@pytest.mark.hardware(...)` and the fixture `hardware`."""

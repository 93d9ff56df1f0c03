"""Contract suites: what every implementation of an interface must do, as classes of pytest tests.

They test behaviour and no particular implementation. Derive a class, say what to test, and run pytest on it:

    class TestMySampler(SamplerContract):
        def build(self, study):
            return MySampler(study)

Doors: `samplers` (`SamplerContract`), `files` (`FilesContract`). pytest and hypothesis must be installed.
"""

"""The name "autotrack" is known to frameworks that select trackers by name."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    "first",
    [
        "import autotrack, transformers.integrations.integration_utils",
        "import transformers.integrations.integration_utils, autotrack",
        "from autotrack.integrations.transformers import AutotrackCallback",
    ],
)
def test_the_name_is_known_whatever_is_imported_first(script, first):
    """autotrack first, transformers first, or our callback, which imports transformers itself: without a warning."""
    pytest.importorskip("transformers")
    script(
        f"""
        import warnings
        from autotrack import AutotrackWarning
        warnings.simplefilter("error", AutotrackWarning)
        {first}
        from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK
        assert "autotrack" in INTEGRATION_TO_CALLBACK
        """
    )

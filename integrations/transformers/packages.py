"""The modules of transformers that are observed."""

TRAINER = "transformers.trainer"

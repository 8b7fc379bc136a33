"""A `config.json` of Hugging Face as a workload: the shapes that `transformers` builds of it, or why hwsim has none."""

from hwsim.workload.huggingface.document import document_of_config
from hwsim.workload.huggingface.models import MODEL_TYPES

__all__ = ["MODEL_TYPES", "document_of_config"]

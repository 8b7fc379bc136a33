"""An ONNX file as a workload: shapes of every tensor, nodes as operators, or what is not understood."""

from hwsim.workload.from_onnx.document import Imported, document_of_onnx

__all__ = ["Imported", "document_of_onnx"]

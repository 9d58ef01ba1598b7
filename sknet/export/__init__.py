"""Export of fitted estimators: ONNX models, and the types that a skops file may hold."""

from sknet.export._onnx import to_onnx
from sknet.export._packages import SKOPS_TRUSTED, register
from sknet.export._rows import onnx_inputs

__all__ = ["SKOPS_TRUSTED", "onnx_inputs", "register", "to_onnx"]

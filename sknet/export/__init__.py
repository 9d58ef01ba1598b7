"""Fitted networks outside of the process that made them: ONNX and skops."""

from sknet.export._onnx import onnx_inputs, to_onnx
from sknet.export._skl2onnx import register

__all__ = ["onnx_inputs", "register", "to_onnx"]

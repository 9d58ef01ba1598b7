"""Sessions of onnxruntime, as the tests of ONNX models need them."""

import onnxruntime


def session_of(model):
    """Return a session of an ONNX model, on the processor."""
    return onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )

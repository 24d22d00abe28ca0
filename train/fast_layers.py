"""The same network with faster steps: other kernels for convolutions and batch normalization.

Profiled on a CPU, a step of EfficientNet-Lite0 as Keras 3 and TensorFlow run it spends over half
of its time in batch normalization, which Keras builds from some ten elementary operations
(keras-team/keras-core issue 225), and a fifth of the rest in the kernel gradients of the 5x5
depthwise convolutions, for which oneDNN 3.7 has a fast kernel only up to a width of 3. Both have
a better kernel in TensorFlow itself. Where a batch normalization uses its moving averages, it is
one operation with the convolution before it. `docs/training_speed.md` has the figures.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
from keras import layers

_WIDEST_FAST = 3
"""Wider depthwise kernels than this have no fast gradient in oneDNN."""


def with_fast_layers(model: keras.Model) -> keras.Model:
    """The same function with the same variables, in the same order, and faster gradients.

    Train it, validate with it, ask it; save and convert ``model``, whose weights are the very ones
    being trained. Results differ by rounding only.

    Args:
        model: a functional model; layers that have no faster form are shared with it.
    """
    before = {layer: _convolution_before(layer) for layer in model.layers}
    joined = {layer: convolution for layer, convolution in before.items() if convolution}
    moved = set(joined.values())

    def faster(layer: Any) -> Any:
        if layer in moved:
            return layers.Identity(name=f"{layer.name}_moved")
        if layer in joined:
            return _NormalisedConvolution(joined[layer], layer)
        return _fast_alone(layer)

    return keras.models.clone_model(model, clone_function=faster)


def _fast_alone(layer: Any) -> Any:
    if type(layer) is layers.BatchNormalization and _FusedBatchNormalization.fits(layer):
        return _FusedBatchNormalization(layer)
    if type(layer) is layers.DepthwiseConv2D and _DepthwiseConvolution.fits(layer):
        return _DepthwiseConvolution(layer)
    return layer


def _convolution_before(layer: Any) -> Any:
    """The convolution whose output a batch normalization alone takes, if they can be joined."""
    if type(layer) is not layers.BatchNormalization or not _FusedBatchNormalization.fits(layer):
        return None
    before = layer.input._keras_history.operation
    joined = (
        type(before) in (layers.Conv2D, layers.DepthwiseConv2D)
        and len(before._outbound_nodes) == 1
        and before.padding in ("same", "valid")
        and before.data_format == "channels_last"
        and getattr(before, "groups", 1) == 1
        and tuple(before.dilation_rate) == (1, 1)
        and len(set(before.strides)) == 1
        and not before.use_bias
        and before.activation is keras.activations.linear
        and before.compute_dtype == "float32"
    )
    return before if joined else None


class _Wrapper(layers.Layer):
    """Holds the layer that it stands for, whose variables it uses."""

    def __init__(self, plain: Any) -> None:
        super().__init__(name=f"{plain.name}_fast", dtype=plain.dtype_policy)
        self.plain = plain
        self.built = True

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Keras asks for it when it builds the graph."""
        return self.plain.compute_output_shape(input_shape)


class _FusedBatchNormalization(_Wrapper):
    """Batch normalization as one operation each way (``FusedBatchNormV3`` and its gradient)."""

    @staticmethod
    def fits(layer: Any) -> bool:
        """Whether the operation can do what the layer does: channels last, in float32."""
        return bool(
            len(layer.input.shape) == 4
            and layer.axis in (-1, 3)
            and layer.scale
            and layer.center
            and not layer.renorm
            and not layer.synchronized
            and layer.compute_dtype == "float32"
        )

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Normalise by the batch in training, by the moving averages otherwise, as Keras does."""
        plain = self.plain
        training = training and plain.trainable  # a frozen layer normalises as in use
        moments = {} if training else {"mean": plain.moving_mean, "variance": plain.moving_variance}
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs, plain.gamma, plain.beta, **moments, epsilon=plain.epsilon,
            is_training=bool(training),
        )  # fmt: skip
        if not training:
            return outputs
        # The operation's variance is that of a sample (divided by n - 1); Keras averages by n.
        count = tf.cast(tf.reduce_prod(tf.shape(inputs)[:3]), tf.float32)
        variance *= (count - 1) / count
        for moving, value in ((plain.moving_mean, mean), (plain.moving_variance, variance)):
            moving.assign(moving * plain.momentum + value * (1 - plain.momentum))
        return outputs


class _DepthwiseConvolution(_Wrapper):
    """A depthwise convolution whose kernel's gradient is left to TensorFlow's own kernel."""

    @staticmethod
    def fits(layer: Any) -> bool:
        """Whether the kernel is wide, and the rest as in the architectures here."""
        return bool(
            max(layer.kernel_size) > _WIDEST_FAST
            and layer.padding == "same"
            and layer.data_format == "channels_last"
            and tuple(layer.dilation_rate) == (1, 1)
            and not layer.use_bias
            and layer.activation is keras.activations.linear
            and layer.compute_dtype == "float32"
        )

    def call(self, inputs: Any) -> Any:
        """Convolve each channel by its own kernel."""
        strides = [1, *self.plain.strides, 1]
        sides = zip(inputs.shape[1:3], self.plain.kernel_size, self.plain.strides, strict=True)
        padding = [0, 0, *(pad for side in sides for pad in _same_padding(*side)), 0, 0]

        @tf.custom_gradient
        def convolve(x: Any, kernel: Any) -> Any:
            def gradients(upstream: Any) -> tuple[Any, Any]:
                of_inputs = tf.raw_ops.DepthwiseConv2dNativeBackpropInput(
                    input_sizes=tf.shape(x), filter=kernel, out_backprop=upstream,
                    strides=strides, padding="SAME",
                )  # fmt: skip
                # oneDNN takes over the operation unless its padding is written out.
                of_kernel = tf.raw_ops.DepthwiseConv2dNativeBackpropFilter(
                    input=x, filter_sizes=kernel.shape, out_backprop=upstream, strides=strides,
                    padding="EXPLICIT", explicit_paddings=padding,
                )  # fmt: skip
                return of_inputs, of_kernel

            outputs = tf.raw_ops.DepthwiseConv2dNative(
                input=x, filter=kernel, strides=strides, padding="SAME"
            )
            return outputs, gradients

        return convolve(inputs, tf.convert_to_tensor(self.plain.kernel))


class _NormalisedConvolution(layers.Layer):
    """A convolution and its batch normalization: one operation where the averages are used.

    Moving averages scale and shift a channel as its kernel and a bias can (Jacob et al., CVPR 2018,
    section 3.2).
    """

    def __init__(self, convolution: Any, normalization: Any) -> None:
        super().__init__(name=f"{normalization.name}_joined", dtype=normalization.dtype_policy)
        self.convolution, self.normalization = convolution, normalization
        self.apart = [_fast_alone(convolution), _fast_alone(normalization)]
        self.built = True

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Keras asks for it when it builds the graph."""
        return self.convolution.compute_output_shape(input_shape)

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Convolve, and normalise by the batch in training, by the moving averages otherwise."""
        convolution, normalization = self.convolution, self.normalization
        if training and (convolution.trainable or normalization.trainable):
            convolve, normalise = self.apart
            return normalise(convolve(inputs), training=training)
        variance = normalization.moving_variance + normalization.epsilon
        scale = normalization.gamma * tf.math.rsqrt(variance)
        bias = normalization.beta - normalization.moving_mean * scale
        strides, padding = [1, *convolution.strides, 1], convolution.padding.upper()
        if isinstance(convolution, layers.DepthwiseConv2D):
            kernel = convolution.kernel * tf.reshape(scale, convolution.kernel.shape[2:])
            outputs = tf.nn.depthwise_conv2d(inputs, kernel, strides, padding)
        else:
            outputs = tf.nn.conv2d(inputs, convolution.kernel * scale, strides, padding)
        return tf.nn.bias_add(outputs, bias)


def _same_padding(side: int, kernel: int, stride: int) -> tuple[int, int]:
    """Pixels before and after that "same" adds (TensorFlow, tf.nn, "Notes on padding")."""
    outputs = -(-side // stride)
    total = max(0, (outputs - 1) * stride + kernel - side)
    return total // 2, total - total // 2

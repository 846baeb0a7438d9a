//! What a run computes on, and in which floats.

use super::TrainError;
use crate::experiment::Processor;
use burn::tensor::{Device, FloatDType, Tensor};

/// A device, and the floats of the products on it.
#[derive(Debug, Clone)]
pub struct Target {
    /// The device, with gradients.
    pub device: Device,
    /// The floats of products.
    pub products: Products,
}

/// The floats that convolutions, linear maps and attention multiply. Everything else is in 32 bits, as are the parameters
/// (Micikevicius et al. 2018); the exponents of the 16 bits are those of 32, so that no gradient needs to be scaled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Products {
    /// 32-bit floats.
    Full,
    /// 16-bit floats with eight bits of exponent (bfloat16).
    Half,
}

impl Products {
    /// An operand, as it is multiplied.
    pub fn narrow<const D: usize>(self, operand: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Full => operand,
            Self::Half => operand.cast(FloatDType::BF16),
        }
    }

    /// A product, as all others go on with it.
    pub fn widen<const D: usize>(self, product: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Full => product,
            Self::Half => product.cast(FloatDType::F32),
        }
    }
}

/// The processor that an experiment asks for, with mixed precision if it does.
///
/// # Errors
/// If this build or this machine has no such processor, or the processor no floats of 16 bits.
pub fn target(processor: Processor, use_amp: bool) -> Result<Target, TrainError> {
    let device = match processor {
        Processor::Cpu => Device::flex(),
        Processor::Gpu => gpu()?,
    };
    if use_amp && !device.supports_dtype(FloatDType::BF16) {
        return Err(TrainError::NoMixedPrecision);
    }
    let products = if use_amp { Products::Half } else { Products::Full };
    Ok(Target { device: device.autodiff(), products })
}

/// The best device of this machine's graphics interface.
#[cfg(feature = "gpu")]
fn gpu() -> Result<Device, TrainError> {
    Device::wgpu_options().init().map_err(|error| TrainError::NoGpu(error.to_string()))
}

#[cfg(not(feature = "gpu"))]
fn gpu() -> Result<Device, TrainError> {
    let what = "this build is for the CPU; build it with the feature `gpu`";
    Err(TrainError::NoGpu(what.to_string()))
}

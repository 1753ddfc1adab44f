//! `--device cpu|cuda[:N]|auto`: where torch computes. One binary serves both; the CUDA libraries
//! are loaded when they are asked for.

use std::str::FromStr;

use anyhow::{Context, bail};

/// What the user asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    /// The processor.
    Cpu,
    /// The GPU with this index.
    Cuda(usize),
    /// GPU 0 when there is a usable one, else the processor.
    #[default]
    Auto,
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "cpu" => Ok(Self::Cpu),
            "auto" => Ok(Self::Auto),
            "cuda" => Ok(Self::Cuda(0)),
            _ => text
                .strip_prefix("cuda:")
                .and_then(|n| n.parse().ok())
                .map(Self::Cuda)
                .ok_or_else(|| format!("unknown device '{text}': use cpu, cuda, cuda:N or auto")),
        }
    }
}

impl DeviceChoice {
    /// Loads what is needed and gives torch's device.
    ///
    /// # Errors
    /// When CUDA was asked for by name and its libraries or the GPU are not there.
    pub fn resolve(self) -> anyhow::Result<tch::Device> {
        match self {
            Self::Cpu => Ok(tch::Device::Cpu),
            Self::Auto => match load_cuda() {
                Ok(()) if tch::Cuda::device_count() > 0 => Ok(tch::Device::Cuda(0)),
                _ => Ok(tch::Device::Cpu),
            },
            Self::Cuda(index) => {
                load_cuda()?;
                let count = usize::try_from(tch::Cuda::device_count()).unwrap_or(0);
                if index >= count {
                    bail!("there is no GPU {index}: CUDA sees {count}; use --device cpu or auto");
                }
                Ok(tch::Device::Cuda(index))
            }
        }
    }
}

/// Makes torch's CUDA kernels known to the CPU library that `hone` is linked against. Torch must not be
/// asked about CUDA before: its first answer is its last.
fn load_cuda() -> anyhow::Result<()> {
    for name in ["libc10_cuda.so", "libtorch_cuda.so"] {
        let flags = libloading::os::unix::RTLD_NOW | libloading::os::unix::RTLD_GLOBAL;
        // SAFETY: libtorch's libraries are made to be loaded at run time (Python does so); their
        // initialisers register kernels and touch nothing of ours.
        let library = unsafe { libloading::os::unix::Library::open(Some(name), flags) }
            .with_context(|| {
                format!(
                    "CUDA was asked for, but {name} cannot be loaded: build with TORCH=python or \
                     TORCH=/path (a CUDA build of libtorch 2.11), or put its lib folder into \
                     LD_LIBRARY_PATH; --device cpu runs without"
                )
            })?;
        // Kernels stay registered until the process ends, so the library must too.
        std::mem::forget(library);
    }
    if !tch::Cuda::is_available() {
        bail!(
            "torch's CUDA libraries are loaded but find no usable GPU (driver missing or too old)"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_names_are_read() {
        assert_eq!("cuda:3".parse(), Ok(DeviceChoice::Cuda(3)));
        assert_eq!("cuda".parse(), Ok(DeviceChoice::Cuda(0)));
        assert!(
            "gpu"
                .parse::<DeviceChoice>()
                .unwrap_err()
                .contains("cpu, cuda, cuda:N or auto")
        );
        assert!("cuda:-1".parse::<DeviceChoice>().is_err());
    }

    #[test]
    fn the_processor_is_always_there() {
        assert_eq!(DeviceChoice::Cpu.resolve().unwrap(), tch::Device::Cpu);
    }
}

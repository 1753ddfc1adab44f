//! Instruction sets: what this machine has, and which one to use.

use super::EngineError;

/// A family of kernels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Isa {
    /// Plain Rust, on any machine.
    Scalar,
    /// x86-64 with AVX2 and FMA.
    Avx2,
    /// x86-64 with AVX-512 (F, BW, DQ, VL) and VNNI.
    Avx512,
    /// aarch64 NEON: Raspberry Pi 3 and 4, Jetson Nano.
    Neon,
    /// aarch64 NEON with the dot-product instructions: Raspberry Pi 5.
    NeonDot,
}

/// Every instruction set, best last.
const ALL: [Isa; 5] = [Isa::Scalar, Isa::Avx2, Isa::Avx512, Isa::Neon, Isa::NeonDot];

impl Isa {
    /// The name that `HONE_ISA` and reports use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Neon => "neon",
            Self::NeonDot => "neondot",
        }
    }

    /// Whether this machine can run it.
    pub fn is_available(self) -> bool {
        match self {
            Self::Scalar => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                Self::Avx2.is_available()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512vnni")
            }
            #[cfg(target_arch = "aarch64")]
            Self::Neon => std::arch::is_aarch64_feature_detected!("neon"),
            #[cfg(target_arch = "aarch64")]
            Self::NeonDot => {
                Self::Neon.is_available() && std::arch::is_aarch64_feature_detected!("dotprod")
            }
            _ => false,
        }
    }

    /// Every instruction set that this machine can run, best last.
    pub fn available() -> impl Iterator<Item = Self> {
        ALL.into_iter().filter(|isa| isa.is_available())
    }

    /// The best of this machine, or the one that the environment variable `HONE_ISA` names.
    ///
    /// # Errors
    /// [`EngineError::Load`] when `HONE_ISA` names none, or one that this machine lacks.
    pub fn choose() -> Result<Self, EngineError> {
        let Some(wanted) = std::env::var_os("HONE_ISA").filter(|v| !v.is_empty()) else {
            return Ok(Self::available().last().unwrap_or(Self::Scalar));
        };
        let known: Vec<&str> = Self::available().map(Self::name).collect();
        Self::available()
            .find(|isa| *isa.name() == *wanted)
            .ok_or_else(|| {
                EngineError::Load(format!(
                    "HONE_ISA is '{}': this machine runs {}",
                    wanted.display(),
                    known.join(", ")
                ))
            })
    }
}

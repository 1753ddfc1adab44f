//! Layers as PyTorch defines and initialises them, with their multiply-accumulates counted.

use std::cell::Cell;
use std::thread::LocalKey;

use tch::nn::{self, Init, Path};
use tch::{Kind, Tensor};

thread_local! {
    static MACS: Cell<Option<i64>> = const { Cell::new(None) };
    static KIND: Cell<Option<Kind>> = const { Cell::new(None) };
    static PARAMETERS: Cell<Option<i64>> = const { Cell::new(None) };
}

/// Gives a cell its old value back when it goes, also when torch panics for want of memory, which is caught.
struct Set<T: Copy + 'static>(&'static LocalKey<Cell<T>>, T);

impl<T: Copy> Set<T> {
    fn to(cell: &'static LocalKey<Cell<T>>, value: T) -> Self {
        Self(cell, cell.replace(value))
    }
}

impl<T: Copy> Drop for Set<T> {
    fn drop(&mut self) {
        self.0.set(self.1);
    }
}

/// Runs `f` with convolutions and matrix products computing in `kind` on this thread, whatever they
/// are given; weights stay as they are, and so does a sum with the f32 picture.
pub fn computing_in<T>(kind: Kind, f: impl FnOnce() -> T) -> T {
    let _set = Set::to(&KIND, Some(kind));
    f()
}

/// What a layer computes on: `x`, in the kind of [`computing_in`] if one is running.
fn given(x: &Tensor) -> Tensor {
    x.to_kind(kind_given(x))
}

/// The kind of number that a layer gives for `x`.
pub fn kind_given(x: &Tensor) -> Kind {
    KIND.get().unwrap_or_else(|| x.kind())
}

/// `parameter` in the kind of number that `x` has: weights are f32 where maps may be bf16.
pub fn in_kind_of(parameter: &Tensor, x: &Tensor) -> Tensor {
    parameter.to_kind(x.kind())
}

/// Runs `f` and gives the multiply-accumulates of its convolutions and matrix products on this
/// thread.
pub fn count_macs<T>(f: impl FnOnce() -> T) -> (T, i64) {
    let _set = Set::to(&MACS, Some(0));
    let value = f();
    (value, MACS.get().unwrap_or(0))
}

/// Adds to the count of [`count_macs`], if one is running.
pub fn add_macs(macs: i64) {
    MACS.set(MACS.get().map(|sum| sum + macs));
}

/// Runs `f`, which builds a network, and gives the number of its learned values on this thread. What is built holds none:
/// it costs nothing, however large it would be, and computes nothing.
pub fn count_parameters<T>(f: impl FnOnce() -> T) -> (T, i64) {
    let _set = Set::to(&PARAMETERS, Some(0));
    let value = f();
    (value, PARAMETERS.get().unwrap_or(0))
}

/// The variable `name` of `vs`; in [`count_parameters`] a tensor without values, which is counted.
pub fn variable(vs: &Path, name: &str, sides: &[i64], init: Init) -> Tensor {
    let Some(sum) = PARAMETERS.get() else {
        return vs.var(name, sides, init);
    };
    let count = sides.iter().fold(1, |n: i64, &side| n.saturating_mul(side));
    PARAMETERS.set(Some(sum.saturating_add(count)));
    Tensor::zeros([0], (Kind::Float, vs.device()))
}

/// A convolution `torch.nn.Conv2d`.
#[derive(Debug)]
pub struct Conv {
    weight: Tensor,
    bias: Option<Tensor>,
    stride: i64,
    padding: i64,
    groups: i64,
}

impl Conv {
    /// `kernel` x `kernel` from `inputs` to `outputs` channels, same size (stride 1).
    pub fn new(vs: &Path, inputs: i64, outputs: i64, kernel: i64, bias: bool) -> Self {
        Self::grouped(vs, inputs, outputs, kernel, 1, bias)
    }

    /// Same size, in `groups` groups (depthwise when they equal the channels).
    pub fn grouped(
        vs: &Path,
        inputs: i64,
        outputs: i64,
        kernel: i64,
        groups: i64,
        bias: bool,
    ) -> Self {
        let bound = 1.0 / ((inputs / groups * kernel * kernel) as f64).sqrt();
        let init = Init::Uniform {
            lo: -bound,
            up: bound,
        };
        Self {
            weight: variable(
                vs,
                "weight",
                &[outputs, inputs / groups, kernel, kernel],
                init,
            ),
            bias: bias.then(|| variable(vs, "bias", &[outputs], init)),
            stride: 1,
            padding: kernel / 2,
            groups,
        }
    }

    /// `kernel` x `kernel` with stride `kernel` and no padding: non-overlapping blocks.
    pub fn downsampling(vs: &Path, inputs: i64, outputs: i64, kernel: i64, bias: bool) -> Self {
        Self {
            stride: kernel,
            padding: 0,
            ..Self::new(vs, inputs, outputs, kernel, bias)
        }
    }

    /// Sets weight and bias to zero: the layer starts as nothing.
    pub fn zeroed(self) -> Self {
        tch::no_grad(|| {
            let _ = self.weight.shallow_clone().zero_();
            let _ = self.bias.as_ref().map(|b| b.shallow_clone().zero_());
        });
        self
    }

    /// `[outputs, inputs / groups, kernel, kernel]`.
    pub fn weight(&self) -> &Tensor {
        &self.weight
    }

    /// `[outputs]`, if there is one.
    pub fn bias(&self) -> Option<&Tensor> {
        self.bias.as_ref()
    }

    /// `[N,inputs,H,W]` to `[N,outputs,H/stride,W/stride]`.
    pub fn forward(&self, x: &Tensor) -> Tensor {
        let (stride, padding) = ([self.stride; 2], [self.padding; 2]);
        let x = &given(x);
        let weight = in_kind_of(&self.weight, x);
        let bias = self.bias.as_ref().map(|b| in_kind_of(b, x));
        let y = x.conv2d(&weight, bias, stride, padding, [1, 1], self.groups);
        // A layer on a pooled 1x1 map costs the same for every picture, however large.
        if y.size()[2..] != [1, 1] {
            add_macs(y.numel() as i64 * self.weight.size()[1..].iter().product::<i64>());
        }
        y
    }
}

/// `torch.nn.ConvTranspose2d` with kernel and stride 2: doubles height and width.
#[derive(Debug)]
pub struct UpConv {
    weight: Tensor,
    bias: Tensor,
}

impl UpConv {
    /// From `inputs` to `outputs` channels.
    pub fn new(vs: &Path, inputs: i64, outputs: i64) -> Self {
        let bound = 1.0 / ((outputs * 4) as f64).sqrt();
        let init = Init::Uniform {
            lo: -bound,
            up: bound,
        };
        Self {
            weight: variable(vs, "weight", &[inputs, outputs, 2, 2], init),
            bias: variable(vs, "bias", &[outputs], init),
        }
    }

    /// `[N,inputs,H,W]` to `[N,outputs,2H,2W]`.
    pub fn forward(&self, x: &Tensor) -> Tensor {
        add_macs(x.numel() as i64 * self.weight.size()[1] * 4);
        let x = &given(x);
        let (weight, bias) = (in_kind_of(&self.weight, x), in_kind_of(&self.bias, x));
        x.conv_transpose2d(&weight, Some(bias), [2, 2], [0, 0], [0, 0], 1, [1, 1])
    }
}

/// `torch.nn.Linear` over the last axis.
#[derive(Debug)]
pub struct Linear {
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    /// From `inputs` to `outputs` features.
    pub fn new(vs: &Path, inputs: i64, outputs: i64) -> Self {
        let bound = 1.0 / (inputs as f64).sqrt();
        let init = Init::Uniform {
            lo: -bound,
            up: bound,
        };
        Self {
            weight: variable(vs, "weight", &[outputs, inputs], init),
            bias: variable(vs, "bias", &[outputs], init),
        }
    }

    /// Features that it reads.
    pub fn inputs(&self) -> i64 {
        self.weight.size()[1]
    }

    /// The layer that has these of its weight `[outputs, inputs]` and bias `[outputs]`.
    pub fn map(
        &self,
        weight: impl FnOnce(&Tensor) -> Tensor,
        bias: impl FnOnce(&Tensor) -> Tensor,
    ) -> Self {
        Self {
            weight: weight(&self.weight),
            bias: bias(&self.bias),
        }
    }

    /// `[..., inputs]` to `[..., outputs]`.
    pub fn forward(&self, x: &Tensor) -> Tensor {
        add_macs(x.numel() as i64 * self.weight.size()[0]);
        let x = &given(x);
        x.linear(
            &in_kind_of(&self.weight, x),
            Some(in_kind_of(&self.bias, x)),
        )
    }
}

/// `torch.nn.LayerNorm` over the last axis.
#[derive(Debug)]
pub struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    eps: f64,
}

impl LayerNorm {
    /// Over `features` features; PyTorch's default `eps` is 1e-5.
    pub fn new(vs: &Path, features: i64, eps: f64) -> Self {
        Self {
            weight: variable(vs, "weight", &[features], Init::Const(1.0)),
            bias: variable(vs, "bias", &[features], Init::Const(0.0)),
            eps,
        }
    }

    /// `[..., features]` to the same shape.
    pub fn forward(&self, x: &Tensor) -> Tensor {
        let features = self.weight.size();
        x.layer_norm(
            features,
            Some(in_kind_of(&self.weight, x)),
            Some(in_kind_of(&self.bias, x)),
            self.eps,
            false,
        )
    }

    /// The same over the channels of `[N,features,H,W]`. The result lies channels-last in memory,
    /// which is how the pointwise convolutions after it run fastest.
    pub fn forward_channels(&self, x: &Tensor) -> Tensor {
        self.forward(&x.permute([0, 2, 3, 1])).permute([0, 3, 1, 2])
    }
}

/// `x` times the sigmoid-free leaky slope: `torch.nn.LeakyReLU(slope)`.
pub fn leaky_relu(x: &Tensor, slope: f64) -> Tensor {
    // Made where it is used: a copy from the processor would have the GPU wait.
    x.prelu(&Tensor::full([1], slope, (x.kind(), x.device())))
}

/// The same `[N,C,H,W]` values with the channels of a pixel side by side in memory: convolutions and
/// normalisations run on it without reordering, and tensor cores want it.
pub fn channels_last(x: &Tensor) -> Tensor {
    x.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2])
}

/// The number of elements of every variable of `vs`.
pub fn parameters(vs: &nn::VarStore) -> i64 {
    vs.variables().values().map(|v| v.numel() as i64).sum()
}

/// Matrix product that takes part in the count of [`count_macs`].
pub fn matmul(a: &Tensor, b: &Tensor) -> Tensor {
    let y = a.matmul(b);
    add_macs(y.numel() as i64 * a.size().last().copied().unwrap_or(0));
    y
}

/// Mean over height and width, in f32 whatever the kind of `x`, which it returns to.
pub fn spatial_mean(x: &Tensor) -> Tensor {
    x.mean_dim([2i64, 3].as_slice(), true, Kind::Float)
        .to_kind(x.kind())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_ends_the_kind_of_number_that_is_computed_in() {
        let broken = || computing_in(Kind::BFloat16, || -> () { panic!("out of memory") });
        assert!(std::panic::catch_unwind(broken).is_err());
        let x = Tensor::zeros([1], (Kind::Float, tch::Device::Cpu));
        assert_eq!(given(&x).kind(), Kind::Float);
    }
}

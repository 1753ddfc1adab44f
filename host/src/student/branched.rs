//! A 3x3 convolution that trains as several branches and folds into one.
//!
//! The branches are those of the edge-oriented convolution block (Zhang, Zeng, Zhang: "Edge-oriented
//! Convolution Block for Real-time Super Resolution on Mobile Devices", ACM MM 2021): a 3x3; a 1x1
//! that widens followed by a 3x3; 1x1s followed by Sobel-x, Sobel-y and Laplacian filters of learned
//! strength; the identity. The 1x1s carry no bias, so with zero padding the fold is exact at borders
//! too. Because every branch is linear, training convolves once with the merged kernel: gradients
//! are those of the branches, at the price of a single convolution.

use tch::nn::{Init, Path};
use tch::{Kind, Tensor};

/// How many times wider the widening branch is than its input.
const WIDENING: i64 = 2;
/// Sobel-x, Sobel-y, Laplacian; `[3,3,3]`.
const EDGES: [f32; 27] = [
    1., 0., -1., 2., 0., -2., 1., 0., -1., //
    1., 2., 1., 0., 0., 0., -1., -2., -1., //
    0., 1., 0., 1., -4., 1., 0., 1., 0.,
];

/// See the module's text. Weights of the branches for I input and O output channels.
#[derive(Debug)]
pub struct BranchedConv {
    plain: Tensor,
    bias: Tensor,
    widen: Tensor,
    narrow: Tensor,
    edge_mix: Tensor,
    edge_strength: Tensor,
    edges: Tensor,
    identity: Option<Tensor>,
}

impl BranchedConv {
    /// Makes the variables under `path`; `gain` scales the initial weights.
    pub fn new(path: &Path, inputs: i64, outputs: i64, gain: f64) -> Self {
        let uniform = |name: &str, size: &[i64], gain: f64| {
            let fan_in = size[1..].iter().product::<i64>() as f64;
            let bound = gain / fan_in.sqrt();
            path.var(
                name,
                size,
                Init::Uniform {
                    lo: -bound,
                    up: bound,
                },
            )
        };
        let wide = inputs * WIDENING;
        let device = path.device();
        Self {
            plain: uniform("plain", &[outputs, inputs, 3, 3], gain),
            bias: path.zeros("bias", &[outputs]),
            widen: uniform("widen", &[wide, inputs, 1, 1], 1.0),
            narrow: uniform("narrow", &[outputs, wide, 3, 3], gain),
            edge_mix: uniform("edge_mix", &[3, outputs, inputs, 1, 1], gain),
            edge_strength: path.randn("edge_strength", &[3, outputs, 1, 1, 1], 0.0, 1e-2),
            edges: Tensor::from_slice(&EDGES)
                .reshape([3, 1, 1, 3, 3])
                .to_device(device),
            identity: (inputs == outputs).then(|| {
                let eye = Tensor::eye(inputs, (Kind::Float, device));
                eye.reshape([inputs, inputs, 1, 1])
                    .constant_pad_nd([1, 1, 1, 1])
            }),
        }
    }

    /// The merged kernel `[O,I,3,3]` and bias `[O]`, differentiable in every branch.
    pub fn merged(&self) -> (Tensor, Tensor) {
        let kind = self.plain.kind();
        // A 1x1 before a 3x3 mixes the 3x3's input channels: kernel [O,E,3,3] under [I,E,1,1].
        let mixer = self.widen.permute([1, 0, 2, 3]);
        let none = None::<Tensor>;
        let widened = self.narrow.conv2d(&mixer, none, [1, 1], [0, 0], [1, 1], 1);
        let edges = &self.edge_mix * &self.edge_strength * self.edges.to_kind(kind);
        let edges = edges.sum_dim_intlist([0i64].as_slice(), false, None);
        let mut kernel = &self.plain + widened + edges;
        if let Some(identity) = &self.identity {
            kernel += identity.to_kind(kind);
        }
        (kernel, self.bias.shallow_clone())
    }

    /// Takes the identity back out of a new convolution, whose plain branch then begins at its negative: what is to begin near
    /// zero must not begin by passing its input on.
    pub(super) fn without_identity(&self) {
        if let Some(identity) = &self.identity {
            tch::no_grad(|| {
                let mut plain = self.plain.shallow_clone();
                plain -= identity;
            });
        }
    }

    /// Takes over a merged kernel `[O,I,3,3]` and bias `[O]`: the plain branch holds it less the identity, the others begin
    /// at zero and can learn.
    pub(super) fn unmerge(&self, kernel: &Tensor, bias: &Tensor) {
        let kernel = kernel.to_device(self.plain.device());
        let plain = match &self.identity {
            Some(identity) => kernel - identity,
            None => kernel,
        };
        tch::no_grad(|| {
            self.plain.shallow_clone().copy_(&plain);
            self.bias.shallow_clone().copy_(bias);
            for strength in [&self.narrow, &self.edge_strength] {
                let _ = strength.shallow_clone().zero_();
            }
        });
    }

    /// The same convolution branch by branch, as the paper computes it; tests hold the fold to it.
    #[cfg(test)]
    fn forward_by_branches(&self, x: &Tensor) -> Tensor {
        let conv = |x: &Tensor, w: &Tensor, pad: i64, groups: i64| {
            x.conv2d(w, None::<Tensor>, [1, 1], [pad, pad], [1, 1], groups)
        };
        let mut y = conv(x, &self.plain, 1, 1) + self.bias.reshape([1, -1, 1, 1]);
        y += conv(&conv(x, &self.widen, 0, 1), &self.narrow, 1, 1);
        let outputs = self.bias.size()[0];
        for i in 0..3 {
            let mixed = conv(x, &self.edge_mix.get(i), 0, 1);
            let filter = self.edges.get(i) * self.edge_strength.get(i);
            y += conv(&mixed, &filter, 1, outputs);
        }
        if self.identity.is_some() {
            y += x;
        }
        y
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, nn::VarStore};

    #[test]
    fn one_merged_kernel_equals_the_branches_up_to_the_border() {
        tch::manual_seed(3);
        for (inputs, outputs) in [(4, 8), (8, 8)] {
            let store = VarStore::new(Device::Cpu);
            let conv = BranchedConv::new(&store.root(), inputs, outputs, 1.0);
            tch::no_grad(|| {
                for mut variable in store.trainable_variables() {
                    let noise = variable.randn_like() * 0.3;
                    variable.copy_(&noise);
                }
                let x = Tensor::rand([2, inputs, 9, 7], tch::kind::FLOAT_CPU);
                let (kernel, bias) = conv.merged();
                let merged = x.conv2d(&kernel, Some(&bias), [1, 1], [1, 1], [1, 1], 1);
                let branches = conv.forward_by_branches(&x);
                let error = (&merged - branches).abs().max().double_value(&[]);
                let size = merged.abs().max().double_value(&[]);
                assert!(error < 1e-5 * size.max(1.0), "{error} at size {size}");
            });
        }
    }
}

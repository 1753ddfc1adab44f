//! Writing chains of convolutions, f32 and INT8.

use hone_shared::quant::{Affine, INPUT, QuantConv};
use hone_shared::student::{Colour, ConvChain, ConvLayer, INPUT_NAME, sees_previous};
use serde::{Deserialize, Serialize};

use super::Metadata;
use super::graph::{Attribute, Graph, Int8};

/// How an INT8 file spells its arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// f32 operators between QuantizeLinear and DequantizeLinear: what most runtimes read.
    #[default]
    Qdq,
    /// QLinearConv operators.
    Qoperator,
}

/// One convolution in the number format it is to run in.
#[derive(Debug, Clone, Copy)]
pub enum Layer<'a> {
    /// f32.
    Float(&'a ConvLayer),
    /// INT8, with the scale and zero point of what it reads.
    Int8(&'a QuantConv, Affine),
}

/// How a chain reads the frame and what becomes of its residual.
#[derive(Debug, Clone, Copy)]
pub struct Ends {
    /// Planes restored.
    pub colour: Colour,
    /// SpaceToDepth factor.
    pub scale: usize,
    /// Whether its output keeps to the range of [`hone_shared::limit`].
    pub limited: bool,
}

/// An f32 student's file.
pub fn write_chain_f32(chain: &ConvChain, metadata: &Metadata) -> Vec<u8> {
    let layers: Vec<_> = chain.layers.iter().map(Layer::Float).collect();
    let ends = Ends {
        colour: chain.colour,
        scale: chain.scale,
        limited: chain.limited,
    };
    write_layers(ends, &layers, Format::Qdq, metadata)
}

/// A student's file whose layers may differ in number format.
pub fn write_layers(
    ends: Ends,
    layers: &[Layer<'_>],
    format: Format,
    metadata: &Metadata,
) -> Vec<u8> {
    let Ends {
        colour,
        scale,
        limited,
    } = ends;
    let mut graph = Graph::new();
    let inputs = layers.first().map(|layer| match layer {
        Layer::Float(conv) => conv.inputs,
        Layer::Int8(conv, _) => conv.inputs,
    });
    let at = match sees_previous(colour, scale, inputs) {
        true => graph.join_previous(),
        false => INPUT_NAME.to_owned(),
    };
    let mut writer = Writer {
        graph,
        format,
        at,
        quantised: None,
    };
    let block = [("blocksize", Attribute::Int(scale as i64))];
    if scale > 1 {
        writer.at = writer
            .graph
            .node("SpaceToDepth", &[&writer.at], "blocks", &block);
    }
    for (i, layer) in layers.iter().enumerate() {
        match layer {
            Layer::Float(conv) => writer.float(i, conv),
            Layer::Int8(conv, input) => writer.int8(i, conv, *input),
        }
    }
    writer.dequantise();
    let mut residual = writer.at;
    if scale > 1 {
        let attributes = [block[0], ("mode", Attribute::Text("DCR"))];
        residual = writer
            .graph
            .node("DepthToSpace", &[&residual], "residual", &attributes);
    }
    if limited {
        writer.graph.limit();
    }
    writer.graph.finish(&residual, colour, metadata)
}

struct Writer {
    graph: Graph,
    format: Format,
    /// The tensor written last: u8 when `quantised` says so, else f32.
    at: String,
    /// Names of scale and zero point of a u8 tensor that is not dequantised yet.
    quantised: Option<(String, String)>,
}

impl Writer {
    /// Stores an affine under `name.scale` and `name.zero_point`.
    fn affine(&mut self, name: &str, affine: Affine) -> (String, String) {
        let scale = self
            .graph
            .floats(&format!("{name}.scale"), &[], &[affine.scale]);
        let zero = self
            .graph
            .bytes(&format!("{name}.zero_point"), &[], &[affine.zero_point]);
        (scale, zero)
    }

    fn quantise(&mut self, name: &str, affine: Affine) {
        let (scale, zero) = self.affine(name, affine);
        let output = format!("{name}.u8");
        self.at = self
            .graph
            .node("QuantizeLinear", &[&self.at, &scale, &zero], &output, &[]);
        self.quantised = Some((scale, zero));
    }

    fn dequantise(&mut self) {
        if let Some((scale, zero)) = self.quantised.take() {
            let output = format!("{}.f32", self.at.trim_end_matches(".u8"));
            self.at = self
                .graph
                .node("DequantizeLinear", &[&self.at, &scale, &zero], &output, &[]);
        }
    }

    fn float(&mut self, index: usize, conv: &ConvLayer) {
        self.dequantise();
        let name = format!("conv{index}");
        let k = conv.kernel;
        let dims = [conv.outputs, conv.inputs, k, k];
        let weight = self
            .graph
            .floats(&format!("{name}.weight"), &dims, &conv.weights);
        let bias = self
            .graph
            .floats(&format!("{name}.bias"), &[conv.outputs], &conv.bias);
        self.at = self.convolution(&name, k, &weight, &bias);
        if conv.relu {
            let output = format!("{name}.relu");
            self.at = self.graph.node("Relu", &[&self.at], &output, &[]);
        }
    }

    fn int8(&mut self, index: usize, conv: &QuantConv, input: Affine) {
        let name = format!("conv{index}");
        if self.quantised.is_none() {
            let tensor = if index == 0 {
                "input".to_owned()
            } else {
                format!("{name}.input")
            };
            self.quantise(&tensor, if index == 0 { INPUT } else { input });
        }
        let k = conv.kernel;
        let numbers = Int8 {
            dims: &[conv.outputs, conv.inputs, k, k],
            weights: &conv.weights,
            scales: &conv.weight_scales,
            bias: &conv.bias,
            input: input.scale,
        };
        if self.format == Format::Qoperator {
            let [weight, scale, zero, bias] = self.graph.int8(&name, &numbers);
            let Some((x_scale, x_zero)) = self.quantised.take() else {
                return;
            };
            let (y_scale, y_zero) = self.affine(&name, conv.output);
            let inputs = [
                &self.at, &x_scale, &x_zero, &weight, &scale, &zero, &y_scale, &y_zero, &bias,
            ];
            let output = format!("{name}.u8");
            let inputs = inputs.map(String::as_str);
            self.at = self
                .graph
                .node("QLinearConv", &inputs, &output, &geometry(&sides(k)));
            self.quantised = Some((y_scale, y_zero));
            return;
        }
        self.dequantise();
        let [weight, bias] = self.graph.int8_read(&name, &numbers);
        self.at = self.convolution(&name, k, &weight, &bias);
        self.quantise(&name, conv.output);
    }

    fn convolution(&mut self, name: &str, k: usize, weight: &str, bias: &str) -> String {
        let sides = sides(k);
        let attributes = geometry(&sides);
        let output = format!("{name}.sum");
        self.graph
            .node("Conv", &[&self.at, weight, bias], &output, &attributes)
    }
}

/// Kernel side twice, then padding on four sides.
fn sides(k: usize) -> [i64; 6] {
    let (k, pad) = (k as i64, k as i64 / 2);
    [k, k, pad, pad, pad, pad]
}

fn geometry(numbers: &[i64; 6]) -> [(&'static str, Attribute<'_>); 2] {
    [
        ("kernel_shape", Attribute::Ints(&numbers[..2])),
        ("pads", Attribute::Ints(&numbers[2..])),
    ]
}

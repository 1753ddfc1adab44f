//! Building an ONNX graph: nodes, weights, and the student contract around them.

use hone_shared::student::{
    Colour, INPUT_NAME, META_COLOUR, MIN_OPSET, OUTPUT_NAME, PREVIOUS_NAME,
};
use prost::Message;
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto,
    TensorProto, TensorShapeProto, TypeProto, ValueInfoProto,
    attribute_proto::AttributeType,
    tensor_proto::DataType,
    tensor_shape_proto::{Dimension, dimension::Value as Dim},
    type_proto,
};

use super::Metadata;

/// The IR version that came with opset 17.
const IR_VERSION: i64 = 8;

/// Value of a node's attribute.
#[derive(Debug, Clone, Copy)]
pub enum Attribute<'a> {
    /// A whole number.
    Int(i64),
    /// Whole numbers.
    Ints(&'a [i64]),
    /// A word.
    Text(&'a str),
}

/// The numbers of a convolution in INT8.
#[derive(Debug, Clone, Copy)]
pub struct Int8<'a> {
    /// Sides of the weight, outputs first.
    pub dims: &'a [usize],
    /// Levels.
    pub weights: &'a [i8],
    /// Scale of each output's weights.
    pub scales: &'a [f32],
    /// In units of the accumulator.
    pub bias: &'a [i32],
    /// Scale of what is read.
    pub input: f32,
}

/// A graph under construction; nodes are added in order of computation.
#[derive(Debug, Default)]
pub struct Graph {
    proto: GraphProto,
    /// Whether it has the second input of temporal students.
    temporal: bool,
    /// Whether the output is held to the limit.
    limited: bool,
}

impl Graph {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a node that writes `output`, and gives that name back.
    pub fn node(
        &mut self,
        op: &str,
        inputs: &[&str],
        output: &str,
        attributes: &[(&str, Attribute<'_>)],
    ) -> String {
        self.proto.node.push(NodeProto {
            name: format!("{output}/{op}"),
            op_type: op.to_owned(),
            input: inputs.iter().map(|&i| i.to_owned()).collect(),
            output: vec![output.to_owned()],
            attribute: attributes.iter().map(attribute).collect(),
            ..NodeProto::default()
        });
        output.to_owned()
    }

    /// Stores f32 values under `name`; no `dims` make a scalar.
    pub fn floats(&mut self, name: &str, dims: &[usize], values: &[f32]) -> String {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.tensor(name, dims, DataType::Float, bytes)
    }

    /// Stores i64 values, as shapes and axes are.
    pub fn longs(&mut self, name: &str, dims: &[usize], values: &[i64]) -> String {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.tensor(name, dims, DataType::Int64, bytes)
    }

    /// Stores i32 values.
    pub fn ints(&mut self, name: &str, dims: &[usize], values: &[i32]) -> String {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.tensor(name, dims, DataType::Int32, bytes)
    }

    /// Stores s8 values.
    pub fn signed_bytes(&mut self, name: &str, dims: &[usize], values: &[i8]) -> String {
        let bytes = values.iter().map(|v| v.cast_unsigned()).collect();
        self.tensor(name, dims, DataType::Int8, bytes)
    }

    /// Stores u8 values.
    pub fn bytes(&mut self, name: &str, dims: &[usize], values: &[u8]) -> String {
        self.tensor(name, dims, DataType::Uint8, values.to_vec())
    }

    /// Stores the numbers of a convolution's INT8 form under `name`: gives the names of weight, its scale and zero point, and bias.
    pub fn int8(&mut self, name: &str, numbers: &Int8<'_>) -> [String; 4] {
        let outputs = [numbers.bias.len()];
        let part = |part: &str| format!("{name}.{part}");
        let zeros = vec![0; numbers.bias.len()];
        [
            self.signed_bytes(&part("weight"), numbers.dims, numbers.weights),
            self.floats(&part("weight.scale"), &outputs, numbers.scales),
            self.signed_bytes(&part("weight.zero_point"), &outputs, &zeros),
            self.ints(&part("bias"), &outputs, numbers.bias),
        ]
    }

    /// As [`Graph::int8`], and reads weight and bias as f32: gives the names of both.
    pub fn int8_read(&mut self, name: &str, numbers: &Int8<'_>) -> [String; 2] {
        let [weight, scale, zero, bias] = self.int8(name, numbers);
        let outputs = [numbers.bias.len()];
        let part = |part: &str| format!("{name}.{part}");
        let units: Vec<f32> = numbers.scales.iter().map(|s| numbers.input * s).collect();
        let unit = self.floats(&part("bias.scale"), &outputs, &units);
        let zeros = vec![0; numbers.bias.len()];
        let none = self.ints(&part("bias.zero_point"), &outputs, &zeros);
        // Counted from the back: a 0 is not written to the file, and OpenCV wants to see the axis.
        let mut read = |inputs: [&str; 3], rank: i64| {
            let (output, axis) = (
                format!("{}.f32", inputs[0]),
                [("axis", Attribute::Int(-rank))],
            );
            self.node("DequantizeLinear", &inputs, &output, &axis)
        };
        [
            read([&weight, &scale, &zero], numbers.dims.len() as i64),
            read([&bias, &unit, &none], 1),
        ]
    }

    fn tensor(&mut self, name: &str, dims: &[usize], kind: DataType, raw_data: Vec<u8>) -> String {
        self.proto.initializer.push(TensorProto {
            name: name.to_owned(),
            dims: dims.iter().map(|&d| d as i64).collect(),
            data_type: kind as i32,
            raw_data,
            ..TensorProto::default()
        });
        name.to_owned()
    }

    /// Makes it a temporal student's: gives the name of the frame and the one before, joined.
    pub fn join_previous(&mut self) -> String {
        self.temporal = true;
        let axis = [("axis", Attribute::Int(1))];
        self.node("Concat", &[INPUT_NAME, PREVIOUS_NAME], "frames", &axis)
    }

    /// Makes it a limited student's: [`Graph::finish`] holds the output to the range of [`hone_shared::limit`].
    pub fn limit(&mut self) {
        self.limited = true;
    }

    /// Adds `restored = frame + residual` and gives the file's bytes.
    pub fn finish(mut self, residual: &str, colour: Colour, metadata: &Metadata) -> Vec<u8> {
        if self.limited {
            let free = self.node("Add", &[INPUT_NAME, residual], "free", &[]);
            super::limit::hold(&mut self, &free);
        } else {
            self.node("Add", &[INPUT_NAME, residual], OUTPUT_NAME, &[]);
        }
        self.proto.name = metadata.name.clone();
        self.proto.input = vec![frame_type(INPUT_NAME, colour)];
        if self.temporal {
            self.proto.input.push(frame_type(PREVIOUS_NAME, colour));
        }
        self.proto.output = vec![frame_type(OUTPUT_NAME, colour)];
        let mut entries = vec![(META_COLOUR, colour.name().to_owned())];
        entries.extend(metadata.entries());
        let entry = |(key, value): (&str, String)| StringStringEntryProto {
            key: key.to_owned(),
            value,
        };
        let model = ModelProto {
            ir_version: IR_VERSION,
            opset_import: vec![OperatorSetIdProto {
                domain: String::new(),
                version: MIN_OPSET,
            }],
            producer_name: "hone".to_owned(),
            producer_version: env!("CARGO_PKG_VERSION").to_owned(),
            graph: Some(self.proto),
            metadata_props: entries.into_iter().map(entry).collect(),
            ..ModelProto::default()
        };
        model.encode_to_vec()
    }
}

fn attribute((name, value): &(&str, Attribute<'_>)) -> AttributeProto {
    let mut proto = AttributeProto {
        name: (*name).to_owned(),
        ..AttributeProto::default()
    };
    let kind = match value {
        Attribute::Int(i) => {
            proto.i = *i;
            AttributeType::Int
        }
        Attribute::Ints(ints) => {
            proto.ints = ints.to_vec();
            AttributeType::Ints
        }
        Attribute::Text(s) => {
            proto.s = s.as_bytes().to_vec();
            AttributeType::String
        }
    };
    proto.r#type = kind as i32;
    proto
}

/// f32 `[1,C,H,W]` with symbolic H and W.
fn frame_type(name: &str, colour: Colour) -> ValueInfoProto {
    let side = |value| Dimension {
        value: Some(value),
        ..Dimension::default()
    };
    let dim = vec![
        side(Dim::DimValue(1)),
        side(Dim::DimValue(colour.channels() as i64)),
        side(Dim::DimParam("H".to_owned())),
        side(Dim::DimParam("W".to_owned())),
    ];
    let tensor = type_proto::Tensor {
        elem_type: DataType::Float as i32,
        shape: Some(TensorShapeProto { dim }),
    };
    ValueInfoProto {
        name: name.to_owned(),
        r#type: Some(TypeProto {
            value: Some(type_proto::Value::TensorType(tensor)),
            ..TypeProto::default()
        }),
        ..ValueInfoProto::default()
    }
}

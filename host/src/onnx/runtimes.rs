//! Which runtimes take which file. The same table stands in ARCHITECTURE.md; a test holds the two
//! together.

/// One runtime and what it makes of a student's files.
#[derive(Debug, Clone, Copy)]
pub struct RuntimeSupport {
    /// The runtime and the version that was looked at.
    pub runtime: &'static str,
    /// The f32 file.
    pub float: &'static str,
    /// INT8 as QDQ.
    pub qdq: &'static str,
    /// INT8 as QOperator.
    pub qoperator: &'static str,
    /// Where this is known from, and what to mind.
    pub source: &'static str,
}

/// What is tested here first, then what documentation says.
pub const RUNTIMES: [RuntimeSupport; 5] = [
    RuntimeSupport {
        runtime: "ONNX Runtime 1.31",
        float: "yes",
        qdq: "yes, all integer",
        qoperator: "yes",
        source: "tested here, INT8 bit for bit; x86 without VNNI needs `session.x64quantprecision = 1`, \
                 else AVX2 saturates 16-bit sums",
    },
    RuntimeSupport {
        runtime: "OpenCV DNN 5.0",
        float: "yes",
        qdq: "yes",
        qoperator: "yes",
        source: "tested here, INT8 bit for bit on chains; wants the `axis` of a DequantizeLinear spelt out",
    },
    RuntimeSupport {
        runtime: "honed's engine",
        float: "yes",
        qdq: "yes",
        qoperator: "through tract",
        source: "tested here, INT8 bit for bit; tract runs what is no chain",
    },
    RuntimeSupport {
        runtime: "TensorRT 10",
        float: "yes",
        qdq: "no",
        qoperator: "no",
        source: "NVIDIA's \"Working with Quantized Types\": symmetric s8 only, zero points must be 0, students \
                 have u8 activations; not tried here",
    },
    RuntimeSupport {
        runtime: "ncnn",
        float: "through pnnx",
        qdq: "no",
        qoperator: "no",
        source: "its converters refuse QuantizeLinear and QLinearConv; its own `ncnn2int8` quantises the f32 \
                 network; not tried here",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn architecture_md_holds_the_same_table() {
        let text = include_str!("../../../ARCHITECTURE.md");
        for r in RUNTIMES {
            let cells = [r.runtime, r.float, r.qdq, r.qoperator, r.source];
            let line = format!("| {} |", cells.join(" | "));
            assert!(text.contains(&line), "ARCHITECTURE.md lacks\n{line}");
        }
    }
}

//! Hostile and odd checkpoints; agreement with published networks is tested in `tests/teachers.rs`.

use super::*;

/// A zip archive of stored members.
fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for (name, data) in members {
        let offset = file.len() as u32;
        let mut common = vec![0; 4];
        common.extend([0; 6]);
        common.extend(crc32fast::hash(data).to_le_bytes());
        common.extend((data.len() as u32).to_le_bytes());
        common.extend((data.len() as u32).to_le_bytes());
        common.extend((name.len() as u16).to_le_bytes());
        common.extend([0; 2]);
        file.extend(b"PK\x03\x04");
        file.extend(&common[..]);
        file.extend(name.as_bytes());
        file.extend(*data);
        directory.extend(b"PK\x01\x02\x00\x00");
        directory.extend(&common[..]);
        directory.extend([0; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let start = file.len() as u32;
    file.extend(&directory);
    file.extend(b"PK\x05\x06\x00\x00\x00\x00");
    file.extend((members.len() as u16).to_le_bytes());
    file.extend((members.len() as u16).to_le_bytes());
    file.extend((directory.len() as u32).to_le_bytes());
    file.extend(start.to_le_bytes());
    file.extend([0; 2]);
    file
}

fn text(value: &str) -> Vec<u8> {
    [
        &[b'X'][..],
        &(value.len() as u32).to_le_bytes(),
        value.as_bytes(),
    ]
    .concat()
}

fn int(value: i64) -> Vec<u8> {
    [&[0x8a, 8][..], &value.to_le_bytes()].concat()
}

fn tuple(items: &[i64]) -> Vec<u8> {
    let items: Vec<u8> = items.iter().flat_map(|&i| int(i)).collect();
    [b"(", &items[..], b"t"].concat()
}

/// `name: tensor` of a storage "0" of `count` elements.
fn item(
    name: &str,
    kind: &str,
    count: i64,
    offset: i64,
    shape: &[i64],
    strides: &[i64],
) -> Vec<u8> {
    let mut p = text(name);
    p.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
    p.extend(text("storage"));
    p.extend(format!("ctorch\n{kind}\n").bytes());
    p.extend(text("0"));
    p.extend(text("cpu"));
    p.extend(int(count));
    p.extend(b"tQ");
    p.extend(int(offset));
    p.extend(tuple(shape));
    p.extend(tuple(strides));
    p.extend(b"\x89NtR");
    p
}

fn dict(items: &[Vec<u8>]) -> Vec<u8> {
    [b"\x80\x02}(", &items.concat()[..], b"u."].concat()
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

fn checkpoint(pickle: &[u8], data: &[u8]) -> Vec<u8> {
    archive(&[
        ("w/data.pkl", pickle),
        ("w/byteorder", b"little"),
        ("w/data/0", data),
    ])
}

fn refusal(bytes: &[u8]) -> String {
    parse(bytes, None).unwrap_err().to_string()
}

#[test]
fn views_of_one_storage_are_gathered() {
    let data = floats(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    let items = [
        item("module.a", "FloatStorage", 6, 0, &[2, 3], &[3, 1]),
        item("module.b", "FloatStorage", 6, 1, &[2, 2], &[1, 3]),
        item("module.c", "FloatStorage", 6, 5, &[], &[]),
        item("module.d", "FloatStorage", 6, 6, &[0, 4], &[4, 1]),
    ];
    let got = parse(&checkpoint(&dict(&items), &data), None).unwrap();
    let names: Vec<_> = got.entries.iter().map(|e| e.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c", "d"]);
    assert_eq!(got.entries[0].data, data);
    assert_eq!(got.entries[1].data, floats(&[1.0, 4.0, 2.0, 5.0]));
    assert_eq!(got.entries[2].data, floats(&[5.0]));
    assert!(got.entries[3].data.is_empty() && got.entries[3].shape == [0, 4]);
    assert_eq!((got.format, got.key), (Format::Zip, None));
}

#[test]
fn few_wrappers_are_taken_off_a_name() {
    let data = floats(&[1.0]);
    let of = |wrappers: usize| {
        let name = format!("{}a", "module.".repeat(wrappers));
        let item = item(&name, "FloatStorage", 1, 0, &[1], &[1]);
        let got = parse(&checkpoint(&dict(&[item]), &data), None).unwrap();
        got.entries[0].name.clone()
    };
    assert_eq!([of(0), of(1), of(2)], ["a"; 3]);
    assert_eq!(of(6), "module.module.a");
}

#[test]
fn kinds_and_keys_are_found() {
    for (kind, element, size) in [
        ("HalfStorage", Element::F16, 2),
        ("BFloat16Storage", Element::BF16, 2),
        ("LongStorage", Element::I64, 8),
    ] {
        let inner = item("a", kind, 3, 0, &[3], &[1]);
        let nested = [b"}(", &inner[..], b"u"].concat();
        let pickle = dict(&[
            [text("epoch"), int(3)].concat(),
            [text("state_dict"), nested].concat(),
        ]);
        let file = checkpoint(&pickle, &vec![7; 3 * size]);
        let got = parse(&file, None).unwrap();
        assert_eq!(
            (got.key.as_deref(), got.entries[0].element),
            (Some("state_dict"), element)
        );
        assert_eq!(parse(&file, Some("state_dict")).unwrap(), got);
        let error = parse(&file, Some("params")).unwrap_err().to_string();
        assert!(
            error.contains("'params'") && error.contains("'state_dict'"),
            "{error}"
        );
    }
}

#[test]
fn a_counter_beside_nested_weights_does_not_hide_them() {
    let tensor = |name: &str| item(name, "FloatStorage", 1, 0, &[1], &[1]);
    let nested = [text("state_dict"), [b"}(", &tensor("a")[..], b"u"].concat()].concat();
    let file = checkpoint(&dict(&[tensor("epoch"), nested]), &floats(&[1.0]));
    let got = parse(&file, None).unwrap();
    assert_eq!(got.key.as_deref(), Some("state_dict"));
    assert_eq!(got.entries[0].name, "a");
}

#[test]
fn code_is_refused_by_name() {
    let call = b"\x80\x02cos\nsystem\n(X\x04\x00\x00\x00true\x85R.";
    let error = refusal(&checkpoint(call, b""));
    assert!(
        error.contains("os.system") && error.contains("nothing of the file was executed"),
        "{error}"
    );
    let stack = [
        b"\x80\x04",
        &text("builtins")[..],
        &text("eval")[..],
        b"\x93.",
    ]
    .concat();
    assert!(refusal(&checkpoint(&stack, b"")).contains("builtins.eval"));
    assert!(refusal(&checkpoint(b"\x80\x02i", b"")).contains("opcode 0x69"));
    assert!(refusal(&checkpoint(b"\x80\x02K\x01)R.", b"")).contains("wants to call"));
    assert!(refusal(b"\x80\x02cos\nsystem\n.").contains("magic number"));
}

#[test]
fn claims_beyond_the_file_are_refused() {
    let data = floats(&[1.0; 4]);
    let huge = 1 << 60;
    for bad in [
        item("a", "FloatStorage", huge, 0, &[huge], &[1]),
        item("a", "FloatStorage", 4, 0, &[huge], &[0]),
        item("a", "FloatStorage", 4, 0, &[huge, huge], &[1, 1]),
        item("a", "FloatStorage", 4, 2, &[3], &[1]),
        item("a", "FloatStorage", 4, 0, &[2, 2], &[huge, 1]),
        item("a", "FloatStorage", 4, i64::MAX, &[1], &[1]),
    ] {
        let error = refusal(&checkpoint(&dict(&[bad]), &data));
        assert!(error.contains("larger than the file's data"), "{error}");
    }
    let negative = item("a", "FloatStorage", 4, 0, &[-1], &[1]);
    assert!(refusal(&checkpoint(&dict(&[negative]), &data)).contains("wrong arguments"));
    let many: Vec<_> = (0..4000)
        .map(|i| {
            item(
                &format!("t{i}"),
                "ByteStorage",
                1 << 16,
                0,
                &[1 << 16],
                &[1],
            )
        })
        .collect();
    assert!(refusal(&checkpoint(&dict(&many), &vec![0; 1 << 16])).contains("larger than"));
}

#[test]
fn every_truncation_and_every_flipped_byte_is_survived() {
    let pickle = dict(&[item("a", "FloatStorage", 4, 0, &[2, 2], &[2, 1])]);
    let file = checkpoint(&pickle, &floats(&[1.0; 4]));
    for end in 0..file.len() {
        assert!(parse(&file[..end], None).is_err(), "{end}");
    }
    for at in 0..file.len() {
        let mut bad = file.clone();
        bad[at] ^= 0x41;
        // Either refused, or the byte was one that carries nothing.
        if let Ok(got) = parse(&bad, None) {
            assert_eq!(got.entries[0].data, floats(&[1.0; 4]), "{at}");
        }
    }
}

#[test]
fn a_zip_bomb_is_refused_before_it_unfolds() {
    let mut file = checkpoint(&dict(&[]), b"");
    let entry = file.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
    file[entry + 10] = 8;
    assert!(refusal(&file).contains("compressed"));
    let mut file = checkpoint(&dict(&[]), b"");
    file[entry + 24..entry + 28].fill(0xfe);
    file[entry + 20..entry + 24].fill(0xfe);
    assert!(refusal(&file).contains("outside of the file"));
}

/// `count` times `part`.
fn repeated(part: &[u8], count: usize) -> Vec<u8> {
    part.repeat(count)
}

#[test]
fn references_do_not_unfold() {
    // A list of 1000 pairs in the memo, made an ordered dictionary again and again.
    let pairs = repeated(b"K\x01K\x02\x86", 1000);
    let list = [b"](", &pairs[..], b"eq\x00"].concat();
    let again = repeated(b"ccollections\nOrderedDict\nh\x00\x85R", 2000);
    let file = checkpoint(&[b"\x80\x02", &list[..], &again[..], b"."].concat(), b"");
    assert!(refusal(&file).contains("longer than that of any network"));
    // Empty pairs make nothing, but are walked as often.
    let list = [b"](", &repeated(b")", 100_000)[..], b"eq\x00"].concat();
    let file = checkpoint(&[b"\x80\x02", &list[..], &again[..], b"."].concat(), b"");
    assert!(refusal(&file).contains("longer than that of any network"));
    // A long name in the memo, given to many tensors.
    let first = item(&"n".repeat(100_000), "FloatStorage", 1, 0, &[1], &[1]);
    let (name, rest) = first.split_at(5 + 100_000);
    let tensor = [rest, b"q\x01"].concat();
    let more = repeated(b"h\x00h\x01", 100);
    let pickle = [b"\x80\x02}(", name, b"q\x00", &tensor[..], &more[..], b"u."].concat();
    let error = refusal(&checkpoint(&pickle, &floats(&[1.0])));
    assert!(
        error.contains("larger than the file's data"),
        "{error:.200}"
    );
    // Members of an archive that share their bytes.
    let mut file = archive(&[
        ("w/data.pkl", &dict(&[])),
        ("a", &[0; 600]),
        ("b", &[0; 600]),
    ]);
    let second = file
        .windows(5)
        .rposition(|w| w == b"PK\x01\x02\x00")
        .unwrap();
    let first = file[..second]
        .windows(5)
        .rposition(|w| w == b"PK\x01\x02\x00")
        .unwrap();
    let entry = file[first..second].to_vec();
    let end = file.split_off(second);
    file.extend(repeated(&entry, 9));
    let size = (
        end.windows(4).position(|w| w == b"PK\x05\x06").unwrap(),
        entry.len() * 9,
    );
    let mut end = end;
    let at = size.0 + 12;
    let directory = u32::from_le_bytes(end[at..at + 4].try_into().unwrap()) + size.1 as u32;
    end[at..at + 4].copy_from_slice(&directory.to_le_bytes());
    file.extend(end);
    assert!(refusal(&file).contains("larger than the file"));
}

#[test]
fn an_empty_tensor_of_endless_sides_is_refused() {
    let huge = 1 << 40;
    let empty = item("a", "FloatStorage", 4, 0, &[0, huge, huge], &[1, 1, 1]);
    let error = refusal(&checkpoint(&dict(&[empty]), &floats(&[1.0; 4])));
    assert!(error.contains("larger than the file's data"), "{error}");
}

#[test]
fn other_files_are_no_checkpoints() {
    assert!(refusal(b"").contains("no checkpoint"));
    assert!(refusal(b"\x89PNG\r\n").contains("no checkpoint"));
    assert!(refusal(&[9, 0, 0, 0, 0, 0, 0, 0, b'{', 0]).contains("safetensors"));
    assert!(refusal(&checkpoint(b"\x80\x02}.", b"")).contains("no weights"));
    let error = read(Path::new("/nonexistent/w.pth"), None)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("w.pth") && error.contains("cannot read"),
        "{error}"
    );
}

/// A safetensors file whose header is filled up to `length`.
fn safetensors(header: &[u8], length: u64, data: &[f32]) -> Vec<u8> {
    let mut file = u64::to_le_bytes(length).to_vec();
    file.extend(header);
    file.resize(8 + length as usize, b' ');
    file.extend(floats(data));
    file
}

#[test]
fn wrappers_are_taken_off_the_names_of_safetensors() {
    let header = br#"{"module.b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},
        "module.a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#;
    let got = parse(&safetensors(header, 0x100, &[1.0, 2.0]), None).unwrap();
    let names: Vec<_> = got.entries.iter().map(|e| e.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(got.entries[0].data, floats(&[2.0]));
}

#[test]
fn a_safetensors_header_of_any_length_is_known() {
    let header = br#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    for length in [0x80, 0x4b50] {
        let got = parse(&safetensors(header, length, &[2.5]), None).unwrap();
        assert_eq!(
            (got.format, &got.entries[0].data),
            (Format::Safetensors, &floats(&[2.5]))
        );
    }
}

#[test]
fn the_message_names_the_file_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.pth");
    std::fs::write(&path, b"GIF89a").unwrap();
    let error = anyhow::Error::from(read(&path, None).unwrap_err());
    let message = format!("{error:#}");
    assert_eq!(message.matches("no checkpoint").count(), 1, "{message}");
    assert!(message.contains("bad.pth"), "{message}");
}

//! What the API answers, and the document that describes it.

use std::collections::BTreeSet;

use hone_device::camera::session::Event;
use hone_device::page::ROUTES;

use super::{measured, served};

const OPENAPI: &str = include_str!("../../../src/page/openapi.json");

#[test]
fn the_document_describes_every_route_and_no_other() {
    let document: serde_json::Value = serde_json::from_str(OPENAPI).unwrap();
    let mut described = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let open = operation["security"] == serde_json::json!([]);
            described.insert((path.clone(), method.to_uppercase(), open));
            // What changes something is not for another site's page.
            let refuses = !operation["responses"]["403"].is_null();
            assert_eq!(refuses, method != "get", "{method} {path}");
        }
    }
    let routes = ROUTES
        .iter()
        .map(|r| (r.path.to_owned(), r.method.to_owned(), r.open));
    assert_eq!(described, routes.collect());
    // Every reference leads somewhere.
    let text = document.to_string();
    for rest in text.split("\"$ref\":\"#").skip(1) {
        let pointer = rest.split('"').next().unwrap();
        assert!(document.pointer(pointer).is_some(), "{pointer}");
    }
}

/// Whether `value` has the shape that `schema` describes: type and required fields, all the way down.
fn fits(document: &serde_json::Value, schema: &serde_json::Value, value: &serde_json::Value) {
    let schema = match schema["$ref"].as_str() {
        Some(pointer) => document.pointer(&pointer[1..]).unwrap(),
        None => schema,
    };
    let kind = match value {
        serde_json::Value::Null => "null",
        serde_json::Value::Bool(_) => "boolean",
        serde_json::Value::Number(n) if n.is_u64() => "integer",
        serde_json::Value::Number(_) => "number",
        serde_json::Value::String(_) => "string",
        serde_json::Value::Array(_) => "array",
        serde_json::Value::Object(_) => "object",
    };
    let allowed = schema["type"].to_string();
    assert!(
        allowed.contains(kind) || (kind == "integer" && allowed.contains("number")),
        "{value} for {schema}"
    );
    for item in value.as_array().into_iter().flatten() {
        fits(document, &schema["items"], item);
    }
    if let Some(fields) = value.as_object() {
        let described = schema["properties"].as_object().unwrap();
        let names: BTreeSet<_> = described.keys().collect();
        assert_eq!(fields.keys().collect::<BTreeSet<_>>(), names);
        for (name, field) in fields {
            fits(document, &described[name], field);
        }
    }
}

#[test]
fn answers_are_as_the_document_says() {
    let served = served();
    served.board.publish(measured());
    served.board.hear(&Event::Live);
    let document: serde_json::Value = serde_json::from_str(OPENAPI).unwrap();
    for path in ["state", "dials", "log", "bundles", "doctor"] {
        let path = format!("/api/v1/{path}");
        let (status, _, body) = served.ask("GET", &path, &served.bearer(), "");
        assert_eq!(status, 200, "{path}: {body}");
        let answer = &document["paths"][&path]["get"]["responses"]["200"];
        let schema = &answer["content"]["application/json"]["schema"];
        fits(&document, schema, &serde_json::from_str(&body).unwrap());
    }
    let (status, _, text) = served.ask("GET", "/api/v1/openapi.json", &served.bearer(), "");
    assert!(status == 200 && text == OPENAPI);
}

#[test]
fn the_log_tells_what_honed_itself_said() {
    let served = served();
    served.board.journal().note("warning: no disk");
    served.board.hear(&Event::Live);
    let lines = |after: &str| -> Vec<(u64, String)> {
        let path = format!("/api/v1/log?after={after}");
        let (_, _, body) = served.ask("GET", &path, &served.bearer(), "");
        let lines: Vec<serde_json::Value> = serde_json::from_str(&body).unwrap();
        let lines = lines.iter().map(|line| {
            let text = line["text"].as_str().unwrap();
            (line["number"].as_u64().unwrap(), text.to_owned())
        });
        lines.collect()
    };
    assert_eq!(
        lines("0"),
        [(1, "warning: no disk".into()), (2, "live".into())]
    );
    assert_eq!(lines("1"), [(2, "live".into())]);
}

#[test]
fn dials_turn_all_or_none() {
    let served = served();
    let json = format!("{}Content-Type: application/json\r\n", served.bearer());
    let turn = |body: &str| served.ask("PATCH", "/api/v1/dials", &json, body);
    let (status, _, body) = turn("{\"strength\": 0.25, \"bypass\": true}");
    assert_eq!(
        (status, body.as_str()),
        (200, "{\"strength\":0.25,\"split\":0.0,\"bypass\":true}")
    );
    let dials = served.board.dials();
    assert!(dials.strength() == 0.25 && dials.bypass());
    for (wrong, status) in [
        ("{\"split\": 0.5, \"strength\": 1.5}", 422),
        ("{\"strenght\": 0.5}", 422),
        ("{\"strength\": 1e99}", 400),
        ("{\"strength\"", 400),
        ("", 400),
    ] {
        let (got, _, body) = turn(wrong);
        assert_eq!(got, status, "{wrong}: {body}");
        assert!(body.starts_with("{\"error\":"), "{body}");
    }
    assert_eq!((dials.strength(), dials.split()), (0.25, 0.0));
    let (status, ..) = served.ask("PATCH", "/api/v1/dials", &served.bearer(), "{}");
    assert_eq!(status, 415);
}

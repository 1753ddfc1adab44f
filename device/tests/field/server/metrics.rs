//! What Prometheus reads, and who asks for it.

use std::collections::BTreeSet;

use hone_device::state::Measured;

use super::{measured, served};

#[test]
fn metrics_are_in_prometheus_text() {
    let served = served();
    served.board.publish(measured());
    let (status, head, text) = served.ask("GET", "/metrics", &served.bearer(), "");
    assert!(status == 200 && head.contains("text/plain; version=0.0.4"));
    for line in [
        // Three of a hundred captured and ninety delivered may be on their way.
        "hone_frames_total{result=\"dropped\"} 7",
        "# TYPE hone_frame_age_seconds histogram",
        "hone_frame_age_seconds_bucket{le=\"0.001024\"} 1",
        "hone_frame_age_seconds_bucket{le=\"0.032768\"} 2",
        "hone_frame_age_seconds_bucket{le=\"+Inf\"} 3",
        "hone_frame_age_seconds_count 3",
        "hone_frame_age_seconds_sum 0.044",
        "hone_temperature_celsius 61.5",
        "hone_throttled 1",
        // Four of ninety given may be on their way.
        "hone_sink_dropped_total{sink=\"record:\\\"clips\\\"\\\\\"} 6",
    ] {
        assert!(text.lines().any(|l| l == line), "no {line} in\n{text}");
    }
    // A counter never falls, whatever is on its way.
    served.board.publish(Measured {
        frames: 99,
        ..measured()
    });
    assert_eq!(served.board.snapshot().frames.dropped, 7);
    // Each metric has its HELP and TYPE once, before its values.
    let mut known = BTreeSet::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let name = help.split(' ').next().unwrap();
            assert!(
                lines
                    .next()
                    .unwrap()
                    .starts_with(&format!("# TYPE {name} "))
            );
            assert!(known.insert(name), "{name} twice");
        } else {
            let name = line.split([' ', '{']).next().unwrap();
            let of = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|end| name.strip_suffix(end));
            assert!(
                known.contains(name) || of.is_some_and(|of| known.contains(of)),
                "{line}"
            );
        }
    }
}

#[test]
fn dashboards_and_alerts_ask_for_metrics_that_exist() {
    let served = served();
    served.board.publish(measured());
    let (_, _, text) = served.ask("GET", "/metrics", &served.bearer(), "");
    let values = text.lines().filter(|line| !line.starts_with('#'));
    let known: BTreeSet<&str> = values.filter_map(|l| l.split([' ', '{']).next()).collect();
    for (file, asked) in [
        (
            "grafana.json",
            include_str!("../../../../cross/monitoring/grafana.json"),
        ),
        (
            "alerts.yml",
            include_str!("../../../../cross/monitoring/alerts.yml"),
        ),
    ] {
        let names: BTreeSet<&str> = asked
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .filter(|word| word.starts_with("hone_"))
            .collect();
        assert!(names.len() > 7, "{file}: {names:?}");
        let unknown: Vec<_> = names.difference(&known).collect();
        assert!(unknown.is_empty(), "{file} asks for {unknown:?}");
    }
}

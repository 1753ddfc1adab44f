use std::path::{Path, PathBuf};
use std::process::Command;

use hone_shared::student::Colour;

use super::page::{Wipe, render};
use super::*;
use crate::evaluate::summary::Evaluation;
use crate::evaluate::{
    Comparison, Method, Pair, PairSet, Role, Unchanged, evaluate, unsharp::Unsharp,
};
use crate::metric::MetricSet;

fn picture(step: usize) -> Picture {
    let bytes: Vec<u8> = (0..3 * 40 * 60).map(|i| (i * step % 256) as u8).collect();
    Picture::from_bytes(3, 40, 60, &bytes)
}

fn evaluation() -> Evaluation {
    let pair = |name: &str, step| Pair {
        name: name.into(),
        input: picture(step),
        truth: picture(step + 1),
    };
    let pairs: PairSet = vec![pair("a <b>", 3), pair("c", 5)].into();
    let mask = Unsharp {
        sigma: 1.0,
        amount: 0.5,
    };
    let mut methods = vec![
        Method::new(Role::Input, Unchanged),
        Method::new(Role::Baseline, mask),
    ];
    let (colour, metrics) = (Colour::Rgb, MetricSet::default());
    let comparison = Comparison {
        colour,
        metrics: &metrics,
    };
    let rows = evaluate(&mut methods, &pairs, comparison, || ()).unwrap();
    Evaluation::new(colour, &pairs, &rows, 1, &metrics).unwrap()
}

fn page() -> String {
    let wipe = Wipe {
        caption: "a & b".into(),
        before: picture(3),
        after: picture(4),
        truth: picture(5),
    };
    let training = vec![("student".to_owned(), vec![(0.0, 24.0), (1.0, 26.5)])];
    render(&evaluation(), &[wipe], &training).unwrap()
}

#[test]
fn base64_is_rfc_4648s() {
    for (plain, coded) in [
        ("", ""),
        ("f", "Zg=="),
        ("fo", "Zm8="),
        ("foobar", "Zm9vYmFy"),
    ] {
        assert_eq!(base64(plain.as_bytes()), coded);
    }
}

#[test]
fn the_page_stands_alone() {
    let page = page();
    // Nothing may be fetched: the only addresses are data.
    for attribute in ["src=\"", "href=\""] {
        for rest in page.split(attribute).skip(1) {
            assert!(rest.starts_with("data:"), "{}", &rest[..40.min(rest.len())]);
        }
    }
    assert!(!page.contains("@import") && !page.contains("url("));
    assert!(page.contains("<figcaption>a &amp; b</figcaption>"));
    assert_eq!(page.matches("<svg").count(), 5);
}

/// Chromium or Chrome, if one is installed; `make setup` installs it.
fn browser() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome"];
    std::env::split_paths(&path)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|file| file.is_file())
}

/// The document after its scripts have run, as Chromium prints it, and what went to its console.
fn open(browser: &Path, folder: &Path, html: &str) -> (String, String) {
    let file = folder.join("page.html");
    std::fs::write(&file, html).unwrap();
    let output = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
        ])
        .args([
            "--enable-logging=stderr",
            "--v=0",
            "--virtual-time-budget=4000",
            "--dump-dom",
        ])
        .arg(format!(
            "--user-data-dir={}",
            folder.join("profile").display()
        ))
        .arg(format!("file://{}", file.display()))
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn the_page_works_in_chromium() {
    let Some(browser) = browser() else {
        // Without a browser only CI may not pass: there it is always installed.
        assert!(
            std::env::var_os("CI").is_none(),
            "no chromium in PATH; make setup installs it"
        );
        eprintln!("no chromium in PATH: the page is not opened");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    // Moves the slider as a hand would, and reports what the page then shows.
    let probe = "<script>addEventListener('load', () => {\
        const slider = document.querySelector('.wipe input');\
        slider.value = 20; slider.dispatchEvent(new Event('input'));\
        const loaded = [...document.images].filter((i) => i.complete && i.naturalWidth === 60);\
        document.title = 'probe ' + loaded.length + ' ' +\
          document.querySelector('.before').style.clipPath + ' ' +\
          document.querySelector('.line').style.left;\
        })</script></body>";
    let (dom, console) = open(&browser, folder.path(), &page().replace("</body>", probe));
    assert!(
        dom.contains("<title>probe 3 inset(0px 80% 0px 0px) 20%</title>"),
        "{dom:.600}\n{console}"
    );
    assert!(!console.contains("CONSOLE"), "{console}");

    let (methods, _) = rating_folders(folder.path());
    let (html, key) = mos::kit(&methods, 7).unwrap();
    let probe = "<script>addEventListener('load', () => {\
        document.getElementById('rater').value = 'A, B';\
        document.querySelector('#start button').click();\
        for (let i = 0; i < 4; i++) document.querySelectorAll('#scores button')[i].click();\
        const id = document.getElementById('stage').dataset.page;\
        document.title = 'probe ' + lines.filter((l) => l.endsWith(',' + id)).length + ' ' + !document.getElementById('end').hidden;\
        })</script></body>";
    let (dom, console) = open(&browser, folder.path(), &html.replace("</body>", probe));
    assert!(
        dom.contains("<title>probe 4 true</title>"),
        "{dom:.600}\n{console}"
    );
    assert!(!console.contains("CONSOLE"), "{console}");
    assert_eq!(key.len(), 4);
}

fn rating_folders(root: &Path) -> (Vec<(String, PathBuf)>, PathBuf) {
    let mut methods = Vec::new();
    for (method, step) in [("input", 3), ("student", 7)] {
        let folder = root.join(method);
        std::fs::create_dir_all(&folder).unwrap();
        for name in ["x.png", "y.png"] {
            picture(step).save(&folder.join(name)).unwrap();
        }
        methods.push((method.to_owned(), folder));
    }
    (methods, root.join("input/y.png"))
}

#[test]
fn opinions_are_means_with_intervals() {
    let folder = tempfile::tempdir().unwrap();
    let (methods, extra) = rating_folders(folder.path());
    let (html, key) = mos::kit(&methods, 1).unwrap();
    assert!(
        !html.contains("student") && !html.contains("input/"),
        "the page tells methods apart"
    );
    let page = mos::page_id(&key).unwrap();
    let scores = |rater: &str, good: u8, bad: u8| {
        let line = |item: &mos::Item| {
            let score = if item.method == "student" { good } else { bad };
            format!("{rater},{},{score},{page}\n", item.item)
        };
        "rater,item,score,page\n".to_owned() + &key.iter().map(line).collect::<String>()
    };
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let files = [
        file("1.csv", &scores("A, B", 5, 2)),
        file("2.csv", &scores("C", 4, 2)),
    ];
    let opinions = mos::score(&key, &files).unwrap();
    assert_eq!(
        (
            opinions[0].method.as_str(),
            opinions[0].mean,
            opinions[0].ratings
        ),
        ("student", 4.5, 4)
    );
    // 5, 5, 4, 4: deviation 0.57735, t(3) = 3.182.
    let half = opinions[0].interval.0.unwrap();
    assert!((half - 3.182 * 0.577_350 / 2.0).abs() < 1e-4);
    assert_eq!((opinions[1].mean, opinions[1].interval.0), (2.0, Some(0.0)));
    let single = [file(
        "0.csv",
        &format!("rater,item,score,page\nA,0,4,{page}\n"),
    )];
    let single = mos::score(&key, &single).unwrap().remove(0);
    assert_eq!((single.mean, single.ratings), (4.0, 1));
    assert_eq!(format!("{:.2}", single.interval), "-");
    let twice = [files[0].clone(), files[0].clone()];
    assert!(
        mos::score(&key, &twice)
            .unwrap_err()
            .to_string()
            .contains("twice")
    );
    let wrong = [file(
        "3.csv",
        &format!("rater,item,score,page\nA,0,6,{page}\n"),
    )];
    assert!(
        mos::score(&key, &wrong)
            .unwrap_err()
            .to_string()
            .contains("3.csv line 2")
    );
    // The same pictures under other numbers.
    let (_, other) = mos::kit(&methods, 2).unwrap();
    let error = mos::score(&other, &files).unwrap_err().to_string();
    assert!(
        error.contains("1.csv line 2: this rating is of the page"),
        "{error}"
    );
    for (text, told) in [
        ("A,0,4\nA,1,4\n", "4.csv line 1: 'A,0,4' is no header"),
        ("", "4.csv line 1"),
        ("rater,item,score,page\n\n", "4.csv holds no rating"),
    ] {
        let files = [files[0].clone(), file("4.csv", text)];
        let error = mos::score(&key, &files).unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
    let marked = format!("\u{feff}rater, item, score, page \r\nA,0,4,{page}\r\n");
    let marked = [file("5.csv", &marked)];
    assert_eq!(mos::score(&key, &marked).unwrap()[0].ratings, 1);
    for (name, told) in [("input", "two methods 'input'"), (" ", "has no name")] {
        let mut methods = methods.clone();
        methods[1].0 = name.to_owned();
        let error = mos::kit(&methods, 1).unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
    std::fs::remove_file(extra).unwrap();
    assert!(
        mos::kit(&methods, 1)
            .unwrap_err()
            .to_string()
            .contains("other pictures")
    );
}

#[test]
fn reports_compare_side_by_side() {
    let folder = tempfile::tempdir().unwrap();
    let mut evaluation = evaluation();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("a.json"), serde_json::to_vec(&evaluation).unwrap()).unwrap();
    evaluation.pairs.pop();
    std::fs::create_dir(path("b")).unwrap();
    std::fs::write(
        path("b/report.json"),
        serde_json::to_vec(&evaluation).unwrap(),
    )
    .unwrap();
    let (table, warning) = compare::compare(&[path("a.json"), path("a.json")]).unwrap();
    assert_eq!(table.to_string().matches("unsharp mask").count(), 2);
    assert_eq!(warning, None);
    let (_, warning) = compare::compare(&[path("a.json"), path("b")]).unwrap();
    assert!(warning.unwrap().contains("different pictures"));
    // Frames of another video have the same names; and a row may give another picture exactly.
    let told = |change: &dyn Fn(&mut Evaluation)| {
        let mut evaluation = self::evaluation();
        change(&mut evaluation);
        std::fs::write(path("c.json"), serde_json::to_vec(&evaluation).unwrap()).unwrap();
        compare::compare(&[path("a.json"), path("c.json")])
            .unwrap()
            .1
    };
    assert_eq!(told(&|e| e.rows[0].psnr_of_pairs[1] += 0.001), None);
    assert_eq!(told(&|e| e.rows[1].psnr_of_pairs[1] += 1.0), None);
    let other = told(&|e| e.rows[0].psnr_of_pairs[1] += 1.0).unwrap();
    assert!(other.contains("different pictures:"), "{other}");
    let other = told(&|e| e.size_range = [(60, 40), (80, 40)]).unwrap();
    assert!(other.contains("different pictures:"), "{other}");
    let other = told(&|e| e.rows[1].psnr_of_pairs[0] = f64::INFINITY).unwrap();
    assert!(other.contains("different pictures out of PSNR"), "{other}");
    evaluation = self::evaluation();
    evaluation.colour = Colour::Luma;
    evaluation.degradation = Some("motion".parse().unwrap());
    evaluation.seed = Some(2);
    let mut changed = serde_json::to_value(&evaluation).unwrap();
    std::fs::write(path("c.json"), changed.to_string()).unwrap();
    let (_, warning) = compare::compare(&[path("a.json"), path("c.json")]).unwrap();
    let told = "different planes, degradations, draws of the degradation:";
    assert!(warning.unwrap().contains(told));
    // As earlier versions wrote them.
    for key in ["colour", "degradation", "seed"] {
        changed.as_object_mut().unwrap().remove(key);
    }
    std::fs::write(path("c.json"), changed.to_string()).unwrap();
    let (_, warning) = compare::compare(&[path("a.json"), path("c.json")]).unwrap();
    assert_eq!(warning, None);
    std::fs::write(path("a.json"), "{}").unwrap();
    assert!(compare::compare(&[path("a.json")]).is_err());
}

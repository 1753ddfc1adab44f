//! Lets `hone` find the libtorch that it was linked against; `LD_LIBRARY_PATH` still wins.

fn main() {
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    if let Ok(root) = std::env::var("LIBTORCH") {
        let root = std::fs::canonicalize(&root).unwrap_or_else(|_| root.clone().into());
        println!(
            "cargo:rustc-link-arg=-Wl,--enable-new-dtags,-rpath,{}/lib",
            root.display()
        );
    }
}

//! The stream that a board receives: a tar archive of what changed. Its last file says that it is whole.

use std::io::{self, Write};

use super::goods::Goods;
use super::plan::Plan;

const APPLY: &str = include_str!("apply.sh");

/// Writes the archive; `sent` hears how many bytes went out.
///
/// # Errors
/// The stream's.
pub fn write(
    plan: &Plan<'_>,
    goods: &Goods,
    out: &mut dyn Write,
    sent: &(dyn Fn(u64) + Sync),
) -> io::Result<()> {
    let mut archive = tar::Builder::new(Reporting {
        out,
        total: 0,
        sent,
    });
    let mut add = |path: &str, bytes: &[u8], executable: bool| {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(if executable { 0o755 } else { 0o644 });
        archive.append_data(&mut header, path, bytes)
    };
    add("apply.sh", APPLY.as_bytes(), false)?;
    for file in &plan.files {
        let place = match file.only_if_missing {
            true => "defaults",
            false => "files",
        };
        add(
            &format!("{place}{}", file.path),
            &file.bytes,
            file.executable,
        )?;
    }
    if plan.bundle {
        add("update/bundle.hone", &goods.bundle_bytes, false)?;
    }
    if let Some(program) = plan.program {
        add("update/honed", &program.bytes, true)?;
    }
    add("whole", b"", false)?;
    archive.finish()?;
    archive.into_inner()?.flush()
}

struct Reporting<'a> {
    out: &'a mut dyn Write,
    total: u64,
    sent: &'a (dyn Fn(u64) + Sync),
}

impl Write for Reporting<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.total += written as u64;
        (self.sent)(self.total);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

//! Builds the shared object and pads it to pages, as it is mapped.

use shared_object::{SharedObject, pad, say};
use std::error::Error;

const PAGE: usize = 4096;

fn main() -> Result<(), Box<dyn Error>> {
    let linked = SharedObject {
        name: "vdso",
        code: "code/vdso.rs",
        parts: &["src/clock_page.rs"],
        script: "code/vdso.ld",
        soname: "linux-vdso.so.1",
        link: &[
            "-Bsymbolic",
            "--no-undefined",
            "-z",
            "rodynamic",
            "-z",
            "norelro",
        ],
    }
    .build()?;
    let image = linked.with_extension("img");
    pad(&linked, PAGE, &image)?;
    say(&format!("rustc-env=VDSO_IMAGE={}", image.display()));
    Ok(())
}

//! Builds the library.

use shared_object::{SharedObject, say};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let library = SharedObject {
        name: "osv_shim",
        code: "code/shim.rs",
        parts: &[
            "code/forker.rs",
            "code/helper.rs",
            "code/libc.rs",
            "code/report.rs",
            "../boot-contract/src/events.rs",
            "../boot-contract/src/forker.rs",
        ],
        script: "code/shim.ld",
        soname: "libunibeam.so",
        link: &["-Bsymbolic", "-z", "now", "-z", "norelro"],
    }
    .build()?;
    say(&format!("rustc-env=OSV_SHIM={}", library.display()));
    Ok(())
}

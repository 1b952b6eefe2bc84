//! The compiler flags of the guest programs: the one place for them.
//!
//! The target is `x86_64-unknown-none` (no red zone, no SSE, panic = abort). Linker scripts are
//! `crates/<package>/<script>`.

/// How one program is compiled and linked.
pub(crate) struct Flags {
    /// For the program and all its dependencies.
    pub(crate) codegen: &'static [&'static str],
    /// For the linker.
    pub(crate) link: &'static [&'static str],
    /// Settings of cargo's release profile, as environment variables.
    pub(crate) profile: &'static [(&'static str, &'static str)],
    /// Name of the linker script in the package's folder; `{bin}` is the program's name.
    pub(crate) script: &'static str,
}

/// The kernel: linked at the top 2 GiB, an ELF file with frame pointers for its epitaph. Compiled
/// in one piece: small functions of one crate in the loops of another make a tenth of a request.
pub(crate) const KERNEL: Flags = Flags {
    codegen: &[
        "-Crelocation-model=static",
        "-Ccode-model=kernel",
        "-Cforce-frame-pointers=yes",
    ],
    link: &["--gc-sections", "-zmax-page-size=0x1000", "--build-id=none"],
    profile: &[
        ("CARGO_PROFILE_RELEASE_LTO", "fat"),
        ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1"),
    ],
    script: "link.ld",
};

/// A boot stage: linked into low memory, plain bytes, small.
pub(crate) const BOOT_STAGE: Flags = Flags {
    codegen: &[
        "-Crelocation-model=static",
        "-Ccode-model=small",
        "-Copt-level=s",
    ],
    link: &[
        "--gc-sections",
        "--oformat=binary",
        "--no-eh-frame-hdr",
        "--build-id=none",
    ],
    profile: &[],
    script: "{bin}.ld",
};

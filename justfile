# The list of commands; CI runs `scripts/test`, which is made of the same scripts.

# Show the commands
default:
    @just --list --unsorted

# Build, image and boot the first example
[group('dev')]
demo:
    scripts/demo

# Install packages and the guest's Rust target
[group('dev')]
setup:
    scripts/setup

# Make an image of an example, and run it: `just run hello_elixir -p 4000:4000`
[group('dev')]
run EXAMPLE *FLAGS:
    examples/{{EXAMPLE}}/build
    cargo run -q -p unibeam -- image "$(ls -d examples/{{EXAMPLE}}/_build/{{EXAMPLE}} examples/{{EXAMPLE}}/_build/prod/rel/{{EXAMPLE}} 2>/dev/null)" -o target/{{EXAMPLE}}.img
    cargo run -q -p unibeam -- run target/{{EXAMPLE}}.img {{FLAGS}}

# Formatting and lints
[group('check')]
check:
    scripts/check

# Accept new golden transcripts and generated pages; look at the difference before committing
[group('check')]
bless:
    UNIBEAM_BLESS=1 scripts/cargo-test --test transcripts --
    BLESS=1 scripts/cargo-test --test on_linux --test checks_md --test trim_md --
    git diff --stat

# Tests that need no QEMU
[group('test')]
test:
    scripts/examples
    scripts/cargo-test --lib --bins --test '[!b]*' --

# Tests that boot images under QEMU
[group('test')]
boot *FILTER:
    scripts/boot {{FILTER}}

# A guest under load for long: `just soak --requests 500000 --cpus 2`
[group('test')]
soak *FLAGS:
    scripts/soak {{FLAGS}}

# Hostile system calls in a guest for long: `just callfuzz 600 4`
[group('test')]
callfuzz SECONDS='600' CPUS='1' SEED='2':
    UNIBEAM_SECONDS={{SECONDS}} UNIBEAM_CPUS={{CPUS}} UNIBEAM_SEED={{SEED}} scripts/cargo-test --test boot -- hostile_calls --nocapture

# Two images from copies of one release, with another clock, folder and umask, are the same bytes
[group('test')]
reproducible:
    scripts/examples
    scripts/cargo-test --test images -- reproducible

# Random input for the parsers, longer than in `test`: `just fuzz 100000`
[group('test')]
fuzz CASES='20000':
    PROPTEST_CASES={{CASES}} cargo test --release -p image -p release -p beam -p erts -p vfs

# Everything that CI runs
[group('test')]
ci:
    .ci/run

# Sizes of kernel, boot stages and example images
[group('release')]
sizes:
    scripts/bench --only sizes

# The figures in docs/promises.md
[group('release')]
bench *FLAGS:
    scripts/bench {{FLAGS}}

# The only door to the tools. `just` lists; continuous integration takes the same doors.

[private]
list:
    @just --list --unsorted

# Format, lints, documentation, licences: everything that needs no run.
check:
    tests/run format clippy doc
    if command -v cargo-deny >/dev/null; then cargo deny check; fi

# Every test there is; installs what is missing when it may. The same as CI.
test *stages:
    tests/run {{stages}}

# Random days of a call centre, from a seed: the same seed, the same days.
sim seed="1" *options:
    cargo run --locked --release -- sim --seed {{seed}} {{options}}

# The embedded lab, the watchdog and the status page, on loopback.
run *options:
    cargo run --release -- demo {{options}}

# Real Asterisk servers on loopback, to try things by hand. `just lab-down` ends them.
lab:
    tests/lab/up

lab-down:
    tests/lab/down

# The picture of the README, taken anew from the demonstration in a real Chromium; needs root.
picture:
    VIGIE_PICTURE="$PWD/dashboards/page.png" cargo test --locked --test behaviour -- --ignored --nocapture --exact real_browser::the_picture_of_the_readme_is_what_chromium_shows

# Calls per second, microseconds per message; fails when a floor of benches/README.md is missed.
bench *names:
    cargo bench --locked --no-fail-fast {{names}}

# The binary that is installed, with what it was built from.
release:
    cargo build --locked --release
    ls -l "${CARGO_TARGET_DIR:-target}/release/vigie"

//! The table of the emulator's flags, judged by an emulator: with `-V` behind it, a flag that it
//! knows leads to its version, and one that it does not to its usage.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use std::path::PathBuf;
use std::process::{Command, Stdio};

use release::otp::flags::{Knowledge, knowledge};

use support::{need, otp};

/// Flags of every kind, each with a value that the emulator takes.
const GOOD: &str = "A 1|B|Bi|Bd|Bc|C no_time_warp|H|IOPp 50|IOPt 50|IOp 1|IOs true|IOt 1|JDdump false|\
    JPperf false|K true|L|MIscs 512|MMamcbf 1024|MMmcs 2|MMrmcbf 50|MMsco true|MMscrfsd 1|MMscrpm true|\
    MMscs 0|MYe true|MYtp 128|MYtt 128|Mdai max|Mea min|Mlpm no|Mummc 10|Musac true|Muycs 100|\
    MBsbct 512|MBas bf|MEacul 0|MFe true|MHlmbcs 512|MSramv false|MTt false|MZe true|MRmmbcs 32|MDrsbcmt 50|\
    P 2048|Q 2048|R 25|S 1:1|S1:1|SDPcpu 100:100|SDcpu 1:1|SDio 4|SP 100:100|T 1|W w|a 16|c true|c|d|\
    dcg2|e 100|ec|fnu|fnlw|h 300|h300|hmax 0|hmaxel true|hmaxk true|hmbs 300|hmqd on_heap|hms 300|hpds 8|\
    i init|n d|pc unicode|r|rg 2|sbt u|sbwt none|sbwtdcpu none|sbwtdio none|scl true|\
    secio true|sfwi 0|spp true|ssrct|sss 128|sssdcpu 128|sssdio 128|stbt u|sub false|swct medium|sws default|\
    swt medium|swtdcpu medium|swtdio medium|t 9000|v|zdbbl 10|zdntgc 10|zebwt none|zosrl 10";

/// Slips of people, and flags that no version has.
const BAD: &str = "w|x|y|l|D|F|U|N|sfoo 1|sbx u|zfoo 1|hfoo 1|Sx|SDx 1|MBfoo 1|Mfoo 1|MMfoo 1|MYx 1|MXe true|\
    px|fx|IOx 1|q|smp disable|O|E";

fn emulator() -> PathBuf {
    let (root, version) = otp();
    root.join(format!("erts-{version}/bin/beam.smp"))
}

/// Whether the emulator takes the flag.
fn takes(words: &str) -> bool {
    let mut words = words.split(' ');
    let output = Command::new(emulator())
        .arg(format!("-{}", words.next().unwrap()))
        .args(words)
        .arg("-V")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    output.status.success() && said.contains("emulator version")
}

#[test]
fn the_emulator_agrees() {
    need("erl");
    let (_, version) = otp();
    for (list, expected) in [(GOOD, true), (BAD, false)] {
        for words in list.split('|') {
            let flag = words.split(' ').next().unwrap();
            assert_eq!(takes(words), expected, "the emulator on +{words}");
            let known = knowledge(flag, &version) == Knowledge::Exists;
            assert_eq!(known, expected, "the table on +{words}");
        }
    }
}

#[test]
fn later_flags_are_refused_by_what_came_before() {
    need("erl");
    let (_, version) = otp();
    for words in [
        "hmaxib true",
        "JMsingle true",
        "JPcover true",
        "MMlp off",
        "pad true",
        "zhft 1",
    ] {
        let flag = words.split(' ').next().unwrap();
        let known = knowledge(flag, &version) == Knowledge::Exists;
        assert_eq!(takes(words), known, "+{words} in {version}");
    }
}

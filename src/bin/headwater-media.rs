//! The media child: the only program that loads FFmpeg. Started by `headwater`, never by hand.

use std::process::ExitCode;

use headwater::{ffmpeg, sandbox};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if ffmpeg::close_inherited_descriptors().is_err() {
        return ExitCode::FAILURE;
    }
    if arguments
        .first()
        .is_some_and(|argument| argument == "--self-test")
    {
        let report = sandbox::self_test().to_string();
        return match std::io::Write::write_all(&mut std::io::stdout(), report.as_bytes()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        };
    }
    sandbox::child::run(&arguments, ffmpeg::run)
}

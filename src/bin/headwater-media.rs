//! The media child: the only program that loads FFmpeg. Started by `headwater`, never by hand.

fn main() {}

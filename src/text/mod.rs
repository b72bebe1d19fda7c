//! Timed text: WebVTT and SubRip to cues, and cues to the WebVTT segments of a presentation.

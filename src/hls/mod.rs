//! HLS playlists (RFC 8216bis): written from a presentation, and read.

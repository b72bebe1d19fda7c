//! DASH manifests (ISO/IEC 23009-1): written from a presentation, and read.

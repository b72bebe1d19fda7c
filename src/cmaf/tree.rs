//! All boxes of a file or segment as a flat list in file order: what rules about structure look
//! at, and what the dump is printed from.

use super::boxes::{BoxHeader, BoxRef, FourCc, Overrun, children};

/// One box and its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BoxNode {
    /// The box type.
    pub kind: FourCc,
    /// Where its header starts, in bytes from the start of what was read.
    pub offset: u64,
    /// Length of the header in bytes.
    pub header_len: u64,
    /// Length of the whole box in bytes.
    pub len: u64,
    /// How many boxes it lies within.
    pub depth: usize,
}

impl BoxNode {
    /// First byte after the box.
    pub fn end(&self) -> u64 {
        self.offset.saturating_add(self.len)
    }

    /// First byte after the header.
    pub fn payload_offset(&self) -> u64 {
        self.offset + self.header_len
    }
}

/// The boxes of a whole, in file order, each before those within it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BoxTree {
    /// The boxes.
    pub nodes: Vec<BoxNode>,
    /// The first box that does not fit what it is in. What follows it there is unknown.
    pub fault: Option<Overrun>,
}

impl BoxTree {
    /// The boxes at the top, in order.
    pub fn top_level(&self) -> impl Iterator<Item = &BoxNode> {
        self.nodes.iter().filter(|node| node.depth == 0)
    }

    /// How many boxes of this type there are, anywhere.
    pub fn count(&self, kind: &[u8; 4]) -> usize {
        let of_kind = |node: &&BoxNode| node.kind.0 == *kind;
        self.nodes.iter().filter(of_kind).count()
    }

    /// The boxes directly within `parent` (one of [`BoxTree::nodes`]), in order.
    pub fn children_of(&self, parent: &BoxNode) -> impl Iterator<Item = &BoxNode> {
        let (from, to, depth) = (parent.offset, parent.end(), parent.depth + 1);
        self.nodes
            .iter()
            .filter(move |node| node.depth == depth && node.offset > from && node.offset < to)
    }
}

/// Deepest nesting that is followed; real files stay below 12.
const DEEPEST: usize = 16;

/// A box at the top of a buffer that may end before the file does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TopBox<'a> {
    pub(crate) node: BoxNode,
    /// What is there of the payload.
    pub(crate) payload: &'a [u8],
    /// Whether the payload is there as a whole.
    pub(crate) whole: bool,
}

/// The boxes at the top of the first bytes of a file of `total_len` bytes, as far as the bytes
/// go. Only the last one may be cut off by the end of the buffer.
pub(crate) fn top_boxes(bytes: &[u8], total_len: u64) -> (Vec<TopBox<'_>>, Option<Overrun>) {
    let total_len = total_len.max(bytes.len() as u64);
    let mut boxes = Vec::new();
    let mut at = 0_usize;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let offset = at as u64;
        let left = total_len - offset;
        let header = BoxHeader::parse(rest);
        let wanted = header.map_or(8, |header| header.len.unwrap_or(left));
        let Some(header) = header.filter(|_| wanted <= left) else {
            // Too few bytes for a header are no fault when more of the file is to come.
            let more_to_come = header.is_none() && (rest.len() as u64) < left && rest.len() < 32;
            return (
                boxes,
                (!more_to_come).then(|| overrun(rest, at, wanted, left)),
            );
        };
        let header_len = usize::try_from(header.header_len).expect("at most 32");
        let end = usize::try_from(wanted)
            .unwrap_or(usize::MAX)
            .min(rest.len());
        boxes.push(TopBox {
            node: BoxNode {
                kind: header.kind,
                offset,
                header_len: header.header_len,
                len: wanted,
                depth: 0,
            },
            payload: rest.get(header_len..end).unwrap_or_default(),
            whole: wanted <= rest.len() as u64,
        });
        at += end;
    }
    (boxes, None)
}

fn overrun(rest: &[u8], offset: usize, wanted: u64, left: u64) -> Overrun {
    let kind = rest.get(4..).and_then(|rest| rest.first_chunk::<4>());
    Overrun {
        kind: FourCc(kind.copied().unwrap_or(*b"????")),
        offset,
        wanted,
        left: usize::try_from(left).unwrap_or(usize::MAX),
    }
}

/// All boxes in the first bytes of a file of `total_len` bytes. Boxes that are cut off by the end
/// of the buffer are listed, but not looked into.
pub fn box_tree(bytes: &[u8], total_len: u64) -> BoxTree {
    let (top, fault) = top_boxes(bytes, total_len);
    let mut tree = BoxTree {
        nodes: Vec::new(),
        fault: None,
    };
    for found in &top {
        tree.nodes.push(found.node);
        if found.whole {
            let base = usize::try_from(found.node.payload_offset()).expect("within the buffer");
            let parent = FourCc(*b"    ");
            descend(&mut tree, found.node.kind, parent, found.payload, base, 1);
        }
    }
    tree.fault = tree.fault.or(fault);
    tree
}

/// Lists the boxes within a box of type `kind` whose payload starts at `base`.
fn descend(
    tree: &mut BoxTree,
    kind: FourCc,
    parent: FourCc,
    payload: &[u8],
    base: usize,
    depth: usize,
) {
    let Some(start) = first_child(kind, parent, payload).filter(|_| depth < DEEPEST) else {
        return;
    };
    let Some(bytes) = payload.get(start..) else {
        return;
    };
    for found in children(bytes, base + start) {
        match found {
            Ok(BoxRef {
                kind: child,
                offset,
                header_len,
                payload,
            }) => {
                tree.nodes.push(BoxNode {
                    kind: child,
                    offset: offset as u64,
                    header_len: header_len as u64,
                    len: (header_len + payload.len()) as u64,
                    depth,
                });
                descend(tree, child, kind, payload, offset + header_len, depth + 1);
            }
            // QuickTime ends some lists with a 32-bit zero.
            Err(overrun) if bytes.get(overrun.offset - base - start..) == Some(&[0; 4]) => {}
            Err(overrun) => {
                tree.fault.get_or_insert(overrun);
            }
        }
    }
}

/// Where in the payload of a box the boxes within it start; `None` when it holds none.
pub(crate) fn first_child(kind: FourCc, parent: FourCc, payload: &[u8]) -> Option<usize> {
    if parent.0 == *b"stsd" {
        return first_child_of_entry(kind, payload);
    }
    match &kind.0 {
        b"moov" | b"trak" | b"edts" | b"mdia" | b"minf" | b"dinf" | b"stbl" | b"mvex" | b"moof"
        | b"traf" | b"mfra" | b"udta" | b"sinf" | b"schi" | b"wave" => Some(0),
        b"stsd" | b"dref" => Some(8),
        // A full box in ISO/IEC 14496-12 section 8.11.1, a plain one in QuickTime.
        b"meta" => Some(if payload.get(4..8) == Some(b"hdlr") {
            0
        } else {
            4
        }),
        _ => None,
    }
}

/// Sample entries (ISO/IEC 14496-12 section 8.5.2) have fields of a length that depends on the
/// kind of media before the boxes within them.
pub(crate) fn first_child_of_entry(kind: FourCc, payload: &[u8]) -> Option<usize> {
    match entry_media(kind) {
        EntryMedia::Video => Some(78),
        EntryMedia::Audio => match payload.get(8..10) {
            // QuickTime's versions 1 and 2 of the sound description.
            Some([0, 1]) => Some(28 + 16),
            Some([0, 2]) => Some(28 + 36),
            _ => Some(28),
        },
        EntryMedia::Text => Some(8),
        EntryMedia::Unknown => None,
    }
}

/// What a sample entry type is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EntryMedia {
    Video,
    Audio,
    Text,
    Unknown,
}

pub(crate) fn entry_media(kind: FourCc) -> EntryMedia {
    match &kind.0 {
        b"avc1" | b"avc2" | b"avc3" | b"avc4" | b"hvc1" | b"hev1" | b"dvh1" | b"dvhe" | b"dva1"
        | b"dvav" | b"dav1" | b"av01" | b"vp08" | b"vp09" | b"mp4v" | b"encv" => EntryMedia::Video,
        b"mp4a" | b"ac-3" | b"ec-3" | b"ac-4" | b"Opus" | b"fLaC" | b"alac" | b"mha1" | b"mhm1"
        | b"dtsc" | b"dtsh" | b"dtsl" | b"dtse" | b"dtsx" | b"enca" => EntryMedia::Audio,
        b"wvtt" => EntryMedia::Text,
        _ => EntryMedia::Unknown,
    }
}

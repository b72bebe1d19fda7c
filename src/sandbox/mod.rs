//! The media child: how it is started, limited, talked to and ended.

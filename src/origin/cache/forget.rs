//! What changes through this process's store is forgotten at once: in memory, on disk, and while
//! it is being fetched.

use super::look_up::{Inner, places};
use crate::store::{Change, Watcher};

impl Watcher for Inner {
    fn changed(&self, change: Change<'_>) {
        match change {
            Change::Created(path) => self.note_created(path),
            Change::Replaced(path) | Change::Removed(path) => self.forget(path),
            Change::FolderRemoved(folder) => self.forget_folder(folder),
        }
    }
}

impl Inner {
    /// Forgets whatever is known of `path`, and of the path under `v/` that may mean it.
    fn forget(&self, path: &str) {
        let under = format!("v/{path}");
        for path in [path, &under] {
            self.flights.void(path);
            self.texts.invalidate(path);
            self.objects.invalidate(path);
            self.setbacks.invalidate(path);
        }
        if let Some(disk) = &self.disk {
            disk.forget(path);
        }
    }

    fn forget_folder(&self, folder: &str) {
        let is_inside = |path: &str| {
            places(path).any(|place| {
                let rest = place.strip_prefix(folder);
                rest.is_some_and(|rest| folder.is_empty() || rest.starts_with('/'))
            })
        };
        self.flights.void_all(|path| is_inside(path));
        if let Some(disk) = &self.disk {
            disk.forget_all(is_inside);
        }
        for memory in [&self.texts, &self.objects] {
            for (path, _) in memory {
                if is_inside(&path) {
                    memory.invalidate(&*path);
                }
            }
        }
    }

    fn note_created(&self, path: &str) {
        let under = format!("v/{path}");
        for name in [path, &under] {
            self.flights.void(name);
            self.setbacks.invalidate(name);
        }
        // So far the name may have meant an object at the top.
        let stands_for_another = self
            .held_anywhere(path)
            .filter(|held| held.location != path);
        if let Some(held) = stands_for_another {
            self.drop_object(path, &held);
        }
    }
}

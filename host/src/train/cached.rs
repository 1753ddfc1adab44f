//! What a distillation takes from a cache of `hone teacher cache`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, bail, ensure};

use super::cache::teacher_maps;
use crate::data::pool::{Manifest, Pool};
use crate::data::source::PairSource;
use crate::recipe::{Recipe, RecipeText};

/// The cache that a distillation uses, if any.
pub(super) fn cache_folder(
    recipe: &Recipe,
    text: &RecipeText,
    instead: Option<&Path>,
) -> Option<PathBuf> {
    let named = recipe.teacher.as_ref().and_then(|t| t.cache.as_ref());
    let named = named.map(|path| text.base.join(path));
    instead.map(Path::to_path_buf).or(named)
}

/// Opens a cache that holds what this recipe would see, and nothing else.
pub(super) fn open_pool(
    folder: &Path,
    recipe: &Recipe,
    source: &dyn PairSource,
) -> Result<Arc<Pool>> {
    let pool = Pool::open(folder, recipe.data.memory_mb)?;
    let sides: Vec<usize> = recipe.stages.iter().map(|s| s.crop).collect();
    let mut expected = Manifest::new(&recipe.data, source, recipe.colour, &sides)?;
    let found = pool.manifest();
    expected.teacher.clone_from(&found.teacher);
    expected.crops.clone_from(&found.crops);
    if let Some(what) = found.difference(&expected) {
        bail!(
            "{} was made from other {what} than the recipe has now: make the cache again in another folder",
            folder.display()
        );
    }
    pool.check_against(source)?;
    for side in sides {
        pool.maps(side)?;
    }
    Ok(Arc::new(pool))
}

/// Refuses a student that a cache cannot serve.
///
/// # Errors
/// When it is temporal.
pub(super) fn check_single(recipe: &Recipe) -> Result<()> {
    ensure!(
        recipe.student.unrolled() == 1,
        "a cache holds single patches, a temporal student sees sequences: distil it without one"
    );
    Ok(())
}

/// The teacher's maps in a cache's patches of this side, and their channels.
///
/// # Errors
/// When one is not there that the recipe's losses look at.
pub(super) fn kept_maps(
    pool: &Pool,
    side: usize,
    recipe: &Recipe,
) -> Result<BTreeMap<String, i64>> {
    let maps = pool.maps(side)?.iter();
    let maps: BTreeMap<_, _> = maps.map(|m| (m.name.clone(), m.channels as i64)).collect();
    for name in teacher_maps(&recipe.losses) {
        ensure!(
            maps.contains_key(&name),
            "the cache lacks the teacher's map '{name}', which the recipe's feature loss looks at: make it again, from \
             this recipe and in another folder"
        );
    }
    Ok(maps)
}

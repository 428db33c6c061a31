//! The dashboard's faces on a made-up run.

#[cfg(test)]
mod keys;
#[cfg(test)]
mod made_up;
#[cfg(test)]
mod plain;
#[cfg(test)]
mod screen;
#[cfg(test)]
mod view;

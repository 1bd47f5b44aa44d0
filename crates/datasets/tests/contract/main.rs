//! What each upstream says, as recorded bodies in `fixtures/` -> what the datasets publish, value by value.

mod bodies;
mod companies;
mod faker;
mod random_user;
mod registry;
mod settings;
mod weather;
mod wikipedia;

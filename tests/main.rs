//! Stories: each file uses only the programs and public SQL, as a user would.

mod lab;

mod first_run;
mod readme_works;

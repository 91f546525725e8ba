//! Stories: each file uses only the programs and public SQL, as a user would.

mod lab;

mod crash_storm;
mod first_run;
mod readme_works;

//! Stories: each file uses only the programs and public SQL, as a user would.

mod lab;

mod bad_input;
mod begun_once;
mod crash_storm;
mod files_and_deaths;
mod first_run;
mod forty_open_at_once;
mod jobs_are_well_behaved;
mod many_workers;
mod one_command;
mod outputs_can_fail;
mod programs_cooperate;
mod readme_works;
mod said_is_kept;
mod searches_are_analysed;
mod searches_are_exchanged;
mod searches_race;
mod searches_with_epochs;
mod sixty_four_workers_search;
mod studies_by_hand;
mod text_is_stable;
mod texts_are_sound;
mod toolbox_files_run;
mod workers_react;

#[test]
fn every_story_is_told() {
    let listed = include_str!("main.rs");
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if let Some(story) = name.strip_suffix(".rs").filter(|story| *story != "main") {
            assert!(
                listed.contains(&format!("mod {story};")),
                "tests/{name} is not in tests/main.rs"
            );
        }
    }
}

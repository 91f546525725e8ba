"""What is printed: tables where rich is there, else lines. Numbers are rounded for the eye only."""

import time

_WIDTH = 80


def shown(value):
    """Return a value as a text: numbers with three decimals, small ones with three digits."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return str(value)
    if isinstance(value, dict):
        return ", ".join(f"{name}: {shown(one)}" for name, one in value.items())
    if hasattr(value, "tolist"):
        return shown(value.tolist())
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(shown, value))}]"
    if isinstance(value, float):
        return f"{value:.3g}" if value and abs(value) < 0.1 else f"{round(value, 3):g}"
    return str(value)


def table(title, header, rows):
    """Print a table of texts."""
    try:
        from rich.console import Console
        from rich.table import Table
    except ImportError:
        print(title)
        for row in [header, *rows]:
            print("  " + " | ".join(row))
        return
    made = Table(title=title, show_header=any(header), width=_WIDTH)
    for name in header:
        made.add_column(name, overflow="fold")
    for row in rows:
        made.add_row(*row)
    Console(width=_WIDTH).print(made)


def welcome_message(space_data, search_type, fixed_params=None, message=None):
    """Print the variables of a search.

    Parameters
    ----------
    space_data : list of dict
        name, type and extra of each.
    search_type : str
    fixed_params : dict, optional
        Rows of the type `fixed`.
    message : str, optional
    """
    rows = [(row["name"], row["type"], shown(row["extra"])) for row in space_data]
    rows += [(str(name), "fixed", shown(value)) for name, value in (fixed_params or {}).items()]
    table(f"MLE-Hyperopt {search_type} Hyperspace", ("Variable", "Type", "Search Range"), rows)
    if message:
        print(message)


def update_message(total_eval_id, best_eval_id, best_config, best_eval, best_ckpt, best_batch_eval_id, best_batch_config, best_batch_eval, best_batch_ckpt):
    """Print the best of all and the best of the last batch. Lists have an entry an objective."""
    rows = []
    groups = (
        ("Best Overall", best_eval_id, best_config, best_eval, best_ckpt),
        ("Best in Batch", best_batch_eval_id, best_batch_config, best_batch_eval, best_batch_ckpt),
    )
    for name, ids, configs, evals, ckpts in groups:
        if not isinstance(configs, (list, tuple)):
            ids, configs, evals, ckpts = [ids], [configs], [evals], [ckpts]
        for at, (number, config, value) in enumerate(zip(ids, configs, evals)):
            text = shown(config)
            ckpt = ckpts[at] if ckpts is not None else None
            rows.append((name, str(number), shown(value), f"{text}, {ckpt}" if ckpt is not None else text))
    stamp = time.strftime("%m/%d/%Y %H:%M:%S")
    table(f"Total: {total_eval_id} | {stamp}", ("", "ID", "Obj. 📉", "Configuration 🔖"), rows)


def ranking_message(best_eval_ids, best_configs, best_evals):
    """Print the best, the first at the top."""
    rows = [
        (str(rank), str(number), shown(value), shown(config))
        for rank, (number, config, value) in enumerate(zip(best_eval_ids, best_configs, best_evals), 1)
    ]
    table("Ranking", ("Rank", "ID", "Obj. 📉", "Configuration 🔖"), rows)


def print_grid_hello(num_total_configs, num_dims_grid):
    print(f"Grid: {num_dims_grid} variables, {num_total_configs} configurations")


def print_halving_hello(num_sh_batches, evals_per_batch, iters_per_batch, halving_coeff, num_total_iters):
    print(f"Halving: {num_sh_batches} batches of {evals_per_batch} configurations, {iters_per_batch} iterations each")
    print(f"  coefficient {halving_coeff}, {num_total_iters} iterations in all; first {evals_per_batch[0]} configurations")


def print_halving_update(sh_counter, num_sh_batches, evals_per_batch, iters_per_batch, num_total_iters):
    done = sum(evals * iters for evals, iters in zip(evals_per_batch[:sh_counter], iters_per_batch))
    print(f"Halving: {sh_counter}/{num_sh_batches} batches, {done}/{num_total_iters} iterations are done")
    if sh_counter < num_sh_batches:
        print(f"  next {evals_per_batch[sh_counter]} configurations to {iters_per_batch[sh_counter]} iterations")


def print_hyperband_hello(num_hb_loops, sh_num_arms, sh_budgets, num_hb_batches, evals_per_batch):
    print(f"Hyperband: {num_hb_batches} batches of {evals_per_batch} configurations")
    print(f"  {num_hb_loops} loops of {sh_num_arms} configurations from {sh_budgets} iterations on")


def print_hyperband_update(hb_counter, num_hb_loops, sh_num_arms, sh_budgets, num_hb_batches, hb_batch_counter, evals_per_batch):
    print(f"Hyperband: {hb_batch_counter}/{num_hb_batches} batches, {hb_counter}/{num_hb_loops} loops are done")
    if hb_batch_counter < num_hb_batches:
        print(f"  next {evals_per_batch[hb_batch_counter]} configurations")


def print_pbt_hello(num_workers, steps_until_ready, explore_type, exploit_type):
    print(f"PBT: {num_workers} workers, ready each {steps_until_ready} steps; exploit {exploit_type}, explore {explore_type}")


def print_pbt_update(step_counter, num_total_steps, copy_info):
    rows = []
    for worker, info in enumerate(copy_info):
        what = f"copies {info['copy_id']}" if info["copy_id"] != worker else "goes on"
        rows.append((str(worker), what, shown(info["old_performance"]), shown(info["copy_performance"]), shown(info["copy_params"])))
    table(f"PBT: step {step_counter}, {num_total_steps} iterations", ("Worker", "", "Own", "Copied", "Parameters"), rows)

"""Planted leaks, each with a leak-free twin that does the same work, and healthy engines that look like leaks.

For kind "python": `factory = "soakd.worker.engines.planted:malloc_leak"`, `options = { bytes_per_operation = 100 }`.
They test whether a tool that looks for leaks can be believed.
"""

from functools import partial

from soakd.worker.engines.planted import handles, healthy, kept_by_kernel, native, objects, processes

python_list_leak = partial(objects.python_list, keep=True)
python_list_twin = partial(objects.python_list, keep=False)
cycle_leak = partial(objects.cycle, keep=True)
cycle_twin = partial(objects.cycle, keep=False)
closure_leak = partial(objects.closure, keep=True)
closure_twin = partial(objects.closure, keep=False)
lru_cache_leak = partial(objects.memoized, keep=True)
lru_cache_twin = partial(objects.memoized, keep=False)
let_go_at_fork_leak = partial(objects.let_go_at_fork, keep=True)
let_go_at_fork_twin = partial(objects.let_go_at_fork, keep=False)

malloc_leak = partial(native.malloc, keep=True)
malloc_twin = partial(native.malloc, keep=False)
mmap_leak = partial(native.mapping, keep=True)
mmap_twin = partial(native.mapping, keep=False)
rust_box_leak = partial(native.rust_box, keep=True)
rust_box_twin = partial(native.rust_box, keep=False)
pyo3_reference_leak = partial(native.pyo3_reference, keep=True)
pyo3_reference_twin = partial(native.pyo3_reference, keep=False)

fd_leak = partial(handles.descriptor, keep=True)
fd_twin = partial(handles.descriptor, keep=False)
thread_leak = partial(handles.thread, keep=True)
thread_twin = partial(handles.thread, keep=False)
task_leak = partial(handles.task, keep=True)
task_twin = partial(handles.task, keep=False)

growing_child_leak = partial(processes.growing_child, keep=True)
growing_child_twin = partial(processes.growing_child, keep=False)
more_children_leak = partial(processes.more_children, keep=True)
more_children_twin = partial(processes.more_children, keep=False)
zombies_leak = partial(processes.zombies, keep=True)
zombies_twin = partial(processes.zombies, keep=False)
dying_child_leak = partial(processes.dying_child, dies=True)
dying_child_twin = partial(processes.dying_child, dies=False)
dying_thread_leak = partial(processes.dying_thread, dies=True)
swallowing_leak = partial(processes.Swallowing, refuses=True)
swallowing_twin = partial(processes.Swallowing, refuses=False)
dying_thread_twin = partial(processes.dying_thread, dies=False)

memfd_leak = partial(kept_by_kernel.memfd, keep=True)
memfd_twin = partial(kept_by_kernel.memfd, keep=False)
deleted_file_leak = partial(kept_by_kernel.deleted_file, keep=True)
deleted_file_twin = partial(kept_by_kernel.deleted_file, keep=False)
temporary_files_leak = partial(kept_by_kernel.temporary_files, keep=True)
temporary_files_twin = partial(kept_by_kernel.temporary_files, keep=False)
pipes_leak = partial(kept_by_kernel.pipes, keep=True)
pipes_twin = partial(kept_by_kernel.pipes, keep=False)
sockets_leak = partial(kept_by_kernel.sockets, keep=True)
sockets_twin = partial(kept_by_kernel.sockets, keep=False)

filling_cache = healthy.FillingCache
warm_up = healthy.warm_up
gc_sawtooth = healthy.gc_sawtooth
collector_backlog = healthy.collector_backlog
fragmentation = healthy.fragmentation

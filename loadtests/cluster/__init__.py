"""The product scaled out on this one machine: hosts as network namespaces, restarted and killed under a small load."""

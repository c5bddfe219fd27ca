"""The page: runs, their curves and findings, their models to try, and what their units do.

Files in `static` are what a browser reads, as they are; `facts` reads run directories, `routes` answers for both.
"""

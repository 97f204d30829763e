"""What one operation costs, by how much there is of everything else."""

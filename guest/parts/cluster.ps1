# ---- The failover cluster that the server is a node of --------------------------------------------------------------

function Get-ClusterFacts {
    # Nothing where the feature is not installed. A cluster in trouble may not answer: each question has half the time
    # of others, and the first one without an answer ends it. What a server's role is, AWS decides.
    $feature = @(Get-Instances '__NAMESPACE' @('Name') 'root' 10 | Where-Object { $_.Name -eq 'MSCluster' })
    if ($feature.Count -eq 0) { return }
    $cluster = 'root/MSCluster'
    [ordered]@{
        node = "$env:COMPUTERNAME"
        clusters = @(Get-Instances 'MSCluster_Cluster' @('Name') $cluster 10)
        nodes = @(Get-Instances 'MSCluster_Node' @('Name') $cluster 10)
        roles = @(Get-Instances 'MSCluster_ResourceGroup' @('Name', 'OwnerNode', 'State', 'GroupType') $cluster 10)
    }
}
